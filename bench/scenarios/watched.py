#!/usr/bin/env python3
"""What the live picture of the cache costs the server: the same work with nobody, with a reader of /kv/events, and
with the page in a browser on the same machine.

    bench/scenarios/watched.py                 4 clients that ask without end, 5 rounds of each kind in turn
    bench/scenarios/watched.py --pool 65536    a pool that has more to tell

What the reader costs is counted directly, since clocks on a busy machine are coarser than it: the engine's own
measure of its pictures, and the processor time of the threads that serve HTTP, less what they take with nobody there.
Of the page, the processor time of all of the browser's processes. Tokens per second are what clients see, with the
standard error of the rounds' mean; a browser on the same machine takes processors from the server, too. Each
measurement begins seconds after a page was opened or closed: having it open is meant, not loading it
(bench/scenarios/page_load.py).
"""

import argparse
import contextlib
import http.client
import os
import pathlib
import re
import statistics
import threading
import time

from common import SMOLLM2, exact_prompt, llama_box, machine, metrics, post

SETTLE = 2  # seconds: a browser goes on for a while after a page is there, or gone
ANSWER = 300  # tokens


class Reader:
    """Somebody who reads the events; `pictures_us` is what each picture took the engine."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(url, timeout=60)
        self.connection.request("GET", "/kv/events?interval_ms=500")
        self.reply = self.connection.getresponse()
        self.text = ""
        self.thread = threading.Thread(target=self._drain)

    def _drain(self):
        with contextlib.suppress(OSError, http.client.HTTPException, AttributeError):
            while chunk := self.reply.read1(65536):
                self.text += chunk.decode()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.connection.sock.shutdown(2)
        self.thread.join()
        self.pictures_us = [int(us) for us in re.findall(r'"picture_us":(\d+)', self.text)]
        assert self.pictures_us, "the reader saw no picture"


@contextlib.contextmanager
def page(browser, url):
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(f"http://{url}/#/cache")
    tab.locator(".live[data-state=live]").wait_for()
    yield
    context.close()


def browser_seconds():
    """Processor time of each of the browser's processes that run now, all below this one."""
    parents, times = {}, {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, rest = (folder / "stat").read_text().split(" (", 1)[1].rsplit(") ", 1)
            parents[int(folder.name)] = int(rest.split()[1])
            if name.startswith("chrom"):
                times[int(folder.name)] = sum(
                    int(file.read_text().split()[0]) for file in folder.glob("task/*/schedstat")) * 1e-9

    def is_ours(pid):
        while pid > 1 and pid != os.getpid():
            pid = parents.get(pid, 0)
        return pid == os.getpid()

    return {pid: seconds for pid, seconds in times.items() if is_ours(pid)}


def serving_seconds(server, computing):
    """Processor time of the threads that do not compute."""
    tasks = pathlib.Path(f"/proc/{server.process.pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) * 1e-9
               for task in tasks.iterdir() if task.name not in computing)


def computing_threads(server):
    """Those that took the most time while it worked: the engine's and its helpers."""
    tasks = pathlib.Path(f"/proc/{server.process.pid}/task")
    times = {task.name: int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()}
    most = max(times.values())
    return {name for name, time in times.items() if time > most / 4}


@contextlib.contextmanager
def clients(server, count):
    """So many that ask one thing after another."""
    done = threading.Event()

    def ask(client):
        turn = 0
        while not done.is_set():
            prompt = exact_prompt(server.url, f"{client}-{turn}", 64)
            post(server.url, "/v1/completions", {
                "prompt": prompt, "max_tokens": ANSWER, "temperature": 0, "ignore_eos": True})
            turn += 1

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def measure(server, seconds, watching, computing):
    """Tokens a second; and of one second, what serving took, what pictures took the engine, what the browser took."""
    def count():
        return (time.perf_counter(), metrics(server.url)["vllm:generation_tokens_total"],
                serving_seconds(server, computing))

    start = time.perf_counter()
    with watching as watcher:
        time.sleep(SETTLE)
        before, processes = count(), browser_seconds()
        time.sleep(seconds)
        took, tokens, serving = (after - at for at, after in zip(before, count()))
        browser = sum(after - processes.get(pid, 0) for pid, after in browser_seconds().items())
    watched = time.perf_counter() - start
    pictures = sum(watcher.pictures_us) * 1e-6 if isinstance(watcher, Reader) else 0
    return tokens / took, serving / took, pictures / watched, browser / took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pool", type=int, default=8192)
    args = parser.parse_args()
    print(f"{args.clients} clients, -c {args.pool}, {args.rounds} rounds of {args.seconds:.0f} s; {machine()}")
    from playwright.sync_api import sync_playwright
    with sync_playwright() as driver, llama_box(SMOLLM2, "-c", args.pool) as server:
        browser = driver.chromium.launch(executable_path=os.environ.get("LLAMABOX_CHROMIUM", "/usr/bin/chromium"),
                                         args=["--no-sandbox"])
        kinds = {"nobody": contextlib.nullcontext, "a reader": lambda: Reader(server.url),
                 "the page": lambda: page(browser, server.url)}
        results = {kind: [] for kind in kinds}
        with clients(server, args.clients):
            time.sleep(SETTLE)
            computing = computing_threads(server)
            for _ in range(args.rounds):
                for kind, watching in kinds.items():
                    results[kind].append(measure(server, args.seconds, watching(), computing))
        browser.close()
    base = [statistics.mean(column) for column in zip(*results["nobody"])]
    for kind, rows in results.items():
        speed, serving, pictures, browser = (statistics.mean(column) for column in zip(*rows))
        error = statistics.stdev(row[0] for row in rows) / len(rows) ** 0.5
        print(f"{kind:9} {speed:6.1f} tok/s ({100 * (speed / base[0] - 1):+.1f} %, +- {100 * error / base[0]:.1f}); of a processor: "
              f"serving {100 * (serving - base[1]):.3f} % more, pictures {100 * pictures:.3f} %, browser {100 * browser:.1f} %")


if __name__ == "__main__":
    main()

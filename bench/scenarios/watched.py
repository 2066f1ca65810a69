#!/usr/bin/env python3
"""What the live picture of the cache costs the server: the same work with nobody, with a reader of /kv/events, and
with the page in a browser on the same machine.

    bench/scenarios/watched.py                 4 clients, 96 tokens each, 6 rounds of each kind in turn
    bench/scenarios/watched.py --pool 65536    a pool that has more to tell

What the reader costs is counted directly, since clocks on a busy machine are coarser than it: the engine's own
measure of its pictures, and the processor time of the threads that serve HTTP, less what they take with nobody there.
Tokens per second are what clients see; with a browser on the same machine it takes processors from the server, too.
"""

import argparse
import contextlib
import http.client
import pathlib
import re
import statistics
import threading
import time

from common import SMOLLM2, at_once, exact_prompt, llama_box, machine, post


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


def work(server, args, seed):
    prompts = [exact_prompt(server.url, f"{seed}-{client}", 64) for client in range(args.clients)]
    at_once(lambda ids: post(server.url, "/v1/completions", {
        "prompt": ids, "max_tokens": args.answer, "temperature": 0, "ignore_eos": True}), prompts)


def measure(server, args, seed, watching, computing):
    """Tokens a second; and of one second, what serving took and what pictures took the engine."""
    with watching as watcher:
        before, start = serving_seconds(server, computing), time.perf_counter()
        work(server, args, seed)
        took, serving = time.perf_counter() - start, serving_seconds(server, computing) - before
    pictures = sum(watcher.pictures_us) * 1e-6 if isinstance(watcher, Reader) else 0
    return args.clients * args.answer / took, serving / took, pictures / took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--answer", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--pool", type=int, default=8192)
    args = parser.parse_args()
    print(f"{args.clients} clients x {args.answer} tokens, -c {args.pool}, {args.rounds} rounds; {machine()}")
    from playwright.sync_api import sync_playwright
    with sync_playwright() as driver, llama_box(SMOLLM2, "-c", args.pool) as server:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        kinds = {"nobody": contextlib.nullcontext, "a reader": lambda: Reader(server.url),
                 "the page": lambda: page(browser, server.url)}
        results = {kind: [] for kind in kinds}
        work(server, args, "warm")
        computing = computing_threads(server)
        for turn in range(args.rounds):
            for kind, watching in kinds.items():
                results[kind].append(measure(server, args, f"{turn}-{kind}", watching(), computing))
        browser.close()
    base = [statistics.median(column) for column in zip(*results["nobody"])]
    for kind, rows in results.items():
        speed, serving, pictures = (statistics.median(column) for column in zip(*rows))
        print(f"{kind:9} {speed:6.1f} tok/s ({100 * (speed / base[0] - 1):+.1f} %); of a processor: "
              f"serving {100 * (serving - base[1]):.3f} % more, pictures {100 * pictures:.3f} %")


if __name__ == "__main__":
    main()

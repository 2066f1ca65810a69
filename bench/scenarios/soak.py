#!/usr/bin/env python3
"""Clients that come, go, cut the connection and send nonsense, for a while.

    bench/scenarios/soak.py --minutes 20 [--model A.gguf] [--pool 1024] [--json FILE]

Checked: every whole answer has the bytes it had when nothing else ran; nonsense is refused as what
it is; at the end no block is in use; the server's memory has grown by at most --rss-limit since the
warm-up (a fifth of the time); /health answered within 50 ms at the 99.9th percentile (asked some 40
times a second from a process of its own); SIGTERM ends it with 0. In turn with /health a bare
socket server is asked: what the machine itself takes, as nothing here controls its load.
Prints one JSON object; the exit code is 1 on a miss.
"""

import argparse
import collections
import json
import multiprocessing
import pathlib
import socket
import sys
import threading
import time

import soak_clients
from common import SMOLLM2, get, leaked_blocks, llama_box, machine, metrics

MIB = 1 << 20
HEALTH_LIMIT_MS = 50


def echo_server(port):
    """Answers each connection with one byte: the least that a server can do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port.send(listener.getsockname()[1])
        while True:
            with listener.accept()[0] as connection:
                connection.recv(16)
                connection.sendall(b"x")


def ask_echo(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(b"x")
        sock.recv(1)


def prober(url, echo_port, stop, out):
    """Milliseconds of each /health, and of each call to the echo server."""
    health, echo, failed = [], [], 0
    while not stop.is_set():
        for times, call in ((health, lambda: get(url, "/health")), (echo, lambda: ask_echo(echo_port))):
            start = time.perf_counter()
            try:
                call()
            except Exception as error:  # whatever it was, the server did not answer
                failed += 1
                print(f"prober: {error!r}", file=sys.stderr)
            times.append(1000 * (time.perf_counter() - start))
        time.sleep(0.02)
    out.put((health, echo, failed))


def percentiles(times):
    ordered = sorted(times)
    at = {name: ordered[min(len(ordered) - 1, int(part * len(ordered)))]
          for name, part in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1))}
    return {"count": len(ordered), **{name: round(ms, 2) for name, ms in at.items()}}


def soak(server, args):
    """(counts by kind, misses, health, echo, failed probes, resident bytes after the warm-up)"""
    known = soak_clients.Known(server.url, 16, args.answer)
    stop, counts, misses = threading.Event(), collections.Counter(), []
    kinds = ([soak_clients.answer_once] * args.clients + [soak_clients.cut_once] * 3 +
             [soak_clients.nonsense_once] * 2)
    threads = [threading.Thread(target=soak_clients.client,
                                args=(server.url, known, once, seed, stop, counts, misses))
               for seed, once in enumerate(kinds)]
    context = multiprocessing.get_context("spawn")
    probes_end, times = context.Event(), context.Queue()
    mine, theirs = context.Pipe()
    echo = context.Process(target=echo_server, args=(theirs,), daemon=True)
    echo.start()
    probe = context.Process(target=prober, args=(server.url, mine.recv(), probes_end, times))
    probe.start()
    for thread in threads:
        thread.start()
    seconds = 60 * args.minutes
    time.sleep(seconds / 5)
    warm = server.rss()
    time.sleep(seconds * 4 / 5)
    stop.set()
    probes_end.set()
    result = times.get(timeout=60)
    for thread in threads:
        thread.join()
    probe.join()
    echo.kill()
    return counts, misses, *result, warm


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--model", default=str(SMOLLM2))
    parser.add_argument("--pool", type=int, default=1024)
    parser.add_argument("--clients", type=int, default=6, help="those that want whole answers")
    parser.add_argument("--answer", type=int, default=64, help="tokens of the longest answer")
    parser.add_argument("--rss-limit", type=float, default=16, help="MiB of growth after the warm-up")
    parser.add_argument("--json", type=pathlib.Path, help="also write the summary here")
    args = parser.parse_args()
    where = machine()
    with llama_box(args.model, "-c", args.pool, "--verbosity", "0") as server:
        counts, misses, health, echo, failed, warm = soak(server, args)
        leaked = leaked_blocks(server.url, seconds=30)
        now = metrics(server.url)
        growth = (server.rss() - warm) / MIB
        code = server.stop()
    health, echo = percentiles(health), percentiles(echo)
    checks = {"answers and refusals as they should be": not misses,
              "every /health answered": failed == 0,
              "no block leaked": leaked == 0,
              "memory flat": growth <= args.rss_limit,
              f"/health p99.9 under {HEALTH_LIMIT_MS} ms": health["p99.9"] < HEALTH_LIMIT_MS,
              "ended with 0": code == 0}
    summary = {"minutes": args.minutes, "machine": where, "pool": args.pool,
               "done": dict(counts), "misses": len(misses), "first_misses": misses[:5],
               "health_ms": health, "echo_ms": echo, "leaked_blocks": leaked,
               "rss_warm_mib": round(warm / MIB, 1), "rss_growth_mib": round(growth, 1),
               "pauses": now["vllm:num_preemptions_total"],
               "evictions": now["llamabox:kv_evictions_total"],
               "cancelled": now["llamabox:requests_cancelled_total"],
               "generated_tokens": now["vllm:generation_tokens_total"], "checks": checks}
    text = json.dumps(summary, indent=1)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

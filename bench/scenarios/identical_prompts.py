#!/usr/bin/env python3
"""Identical prompts that arrive together are computed once.

    bench/scenarios/identical_prompts.py [--model A.gguf] [--clients 6] [--tokens 2000] [--runs 3]
                                         [--threads N] [--no-peer]

Time from sending until every client has its first token, beside the time of one client alone with
another prompt of the same length; ours and llama.cpp's server in turn, each run with new prompts,
medians. The exit code is 1 if our ratio is above the limit.
"""

import argparse
import contextlib
import os
import statistics
import sys
import time

from common import SMOLLM2, at_once, exact_prompt, machine, post
from peer import side_by_side

LIMIT = 1.15


def seconds(url, ids, clients):
    """(seconds of `clients` equal requests at once, prompt tokens not taken from the cache, first tokens)"""
    body = {"prompt": ids, "max_tokens": 1, "temperature": 0}
    start = time.perf_counter()
    replies = at_once(lambda _: post(url, "/v1/completions", body), range(clients))
    took = time.perf_counter() - start
    computed = sum(reply["usage"]["prompt_tokens"] -
                   reply["usage"]["prompt_tokens_details"]["cached_tokens"] for reply in replies)
    return took, computed, {reply["choices"][0]["text"] for reply in replies}


def measure(server, run, clients, tokens):
    """Seconds and processor seconds, each of one request and of all at once."""
    taken = []
    for count in (1, clients):
        ids = exact_prompt(server.url, f"{run} of {count}", tokens)
        before = server.cpu_seconds()
        took, computed, first_tokens = seconds(server.url, ids, count)
        taken.append((took, server.cpu_seconds() - before))
        print(f"  {server.name:10} {count} at once: {took:6.2f} s, {taken[-1][1]:6.2f} s of processor, "
              f"{computed} tokens computed"
              f"{'' if len(first_tokens) == 1 else ', different first tokens'}", flush=True)
    (wall_one, cpu_one), (wall_all, cpu_all) = taken
    return wall_one, wall_all, cpu_one, cpu_all


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default=str(SMOLLM2))
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both servers")
    parser.add_argument("--no-peer", action="store_true")
    args = parser.parse_args()
    pool = (args.clients + 1) * (args.tokens + 64)
    print(f"{args.clients} clients, {args.tokens} tokens, {args.threads} threads, "
          f"{args.model.rsplit('/', 1)[-1]}; {machine()}")
    with contextlib.ExitStack() as stack:
        servers = side_by_side(stack, args, ctx=pool, parallel=args.clients)
        for server in servers:  # the first pass through a model is slow
            seconds(server.url, exact_prompt(server.url, "warm up", 64), 1)
        times = {server.name: [] for server in servers}
        for run in range(args.runs):
            for server in servers:
                times[server.name].append(measure(server, run, args.clients, args.tokens))
    ratios = {}
    for name, rows in times.items():
        wall = statistics.median(row[1] / row[0] for row in rows)
        processor = statistics.median(row[3] / row[2] for row in rows)
        ratios[name] = wall
        print(f"{name}: {args.clients} at once take {wall:.2f} times as long as one, "
              f"{processor:.2f} times the processor (medians of {args.runs})")
    return 0 if ratios["llama-box"] <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())

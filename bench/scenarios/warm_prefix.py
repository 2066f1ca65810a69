#!/usr/bin/env python3
"""Time to the first token behind a prefix that is in the cache, against a cold one.

    bench/scenarios/warm_prefix.py [--model A.gguf] [--tokens 2000] [--question 8] [--runs 5]
                                   [--threads N] [--no-peer]

A request with a new prefix, then one with the same prefix and another question; ours and
llama.cpp's server in turn, medians of the ratios.
"""

import argparse
import contextlib
import os
import statistics
import sys

from common import SMOLLM2, exact_prompt, machine, stream
from peer import side_by_side


def first_token(url, ids):
    """Seconds to the first event that carries a token."""
    events = stream(url, "/v1/completions", {"prompt": ids, "max_tokens": 2, "temperature": 0, "ignore_eos": True})
    seconds = next(at for at, event in events if event["choices"])
    for _ in events:
        pass
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default=str(SMOLLM2))
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--question", type=int, default=8, help="tokens after the prefix")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both servers")
    parser.add_argument("--no-peer", action="store_true")
    args = parser.parse_args()
    pool = 2 * (args.tokens + args.question + 64)
    print(f"{args.tokens} tokens and {args.question} more, {args.threads} threads, "
          f"{args.model.rsplit('/', 1)[-1]}; {machine()}")
    with contextlib.ExitStack() as stack:
        servers = side_by_side(stack, args, ctx=pool, parallel=1)
        rows = {server.name: [] for server in servers}
        for run in range(args.runs):
            for server in servers:
                first_token(server.url, exact_prompt(server.url, f"before {run}", 32))
                prefix = exact_prompt(server.url, f"run {run}", args.tokens)
                asked = [exact_prompt(server.url, f"{word} {run}", args.question) for word in ("first", "second")]
                cold, warm = (first_token(server.url, prefix + question) for question in asked)
                rows[server.name].append((cold, warm))
                print(f"  {server.name:10} cold {1000 * cold:8.1f} ms, warm {1000 * warm:7.1f} ms", flush=True)
    for name, pairs in rows.items():
        ratio = statistics.median(cold / warm for cold, warm in pairs)
        cold, warm = (statistics.median(column) for column in zip(*pairs))
        print(f"{name}: cold {1000 * cold:.1f} ms, warm {1000 * warm:.1f} ms, 1/{ratio:.0f} (medians of {args.runs})")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Throughput over the size of the KV pool: clients that chat, each with a context of its own.

    bench/scenarios/pool_size.py [--pools 512 1024 ...] [--clients 8] [--prompt 300] [--answer 64]
                                 [--more 32] [--rounds 3] [--threads N] [--no-peer] [--png FILE]

A client's next prompt is its last one, the answer, and `--more` new tokens. Counted: answer tokens
of full answers a second. A small pool costs time (clients wait, cached contexts are evicted and
computed again), but no answer: the exit code is 1 if one of ours is not full.
"""

import argparse
import os
import sys
import time

from common import (ROOT, SMOLLM2, Refused, at_once, blocks_up, exact_prompt, llama_box, machine,
                    metrics, pauses, plot, post, token_ids)


def longest(args):
    return args.prompt + args.answer + (args.rounds - 1) * (args.answer + args.more)


def load(url, args):
    """(full answers, seconds)"""
    starts = [exact_prompt(url, f"client {i}", args.prompt) for i in range(args.clients)]
    new = [exact_prompt(url, f"round {r}", args.more) for r in range(args.rounds)]

    def client(ids):
        full = 0
        for turn in range(args.rounds):
            body = {"prompt": ids, "max_tokens": args.answer, "temperature": 0, "ignore_eos": True}
            try:
                reply = post(url, "/v1/completions", body)
            except (Refused, OSError):
                continue
            full += reply["usage"]["completion_tokens"] == args.answer
            said = token_ids(url, reply["choices"][0]["text"])[:args.answer]
            # Exactly as long whatever was said, so that all servers get the same work.
            ids = ids + said + [ids[0]] * (args.answer - len(said)) + new[turn]
        return full

    start = time.perf_counter()
    full = sum(at_once(client, starts))
    return full, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pools", nargs="+", type=int,
                        help="tokens (default: the longest request, times 1, 1.5, 2, 3, 4, 6, 8)")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=300)
    parser.add_argument("--answer", type=int, default=64)
    parser.add_argument("--more", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both servers")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--png", default=str(ROOT / "docs/plots/pool_size.png"))
    args = parser.parse_args()
    base = longest(args)
    pools = args.pools or [blocks_up(int(base * times)) for times in (1, 1.5, 2, 3, 4, 6, 8)]
    total = args.clients * args.rounds
    print(f"{args.clients} clients x {args.rounds} rounds, {args.prompt} + {args.answer} tokens, then "
          f"{args.more} + {args.answer} more, {args.threads} threads, {SMOLLM2.name}; {machine()}")
    rates, missing = {}, 0
    for pool in pools:
        with llama_box(SMOLLM2, "-c", pool, "--threads", args.threads) as server:
            full, took = load(server.url, args)
            now, paused = metrics(server.url), pauses(server.url)
        missing += total - full
        rates.setdefault("llama-box", []).append((full * args.answer / took, full))
        line = (f"  -c {pool:5}: llama-box {rates['llama-box'][-1][0]:6.1f} tok/s, {full} of {total} full, "
                f"{paused} pauses, {now['llamabox:prompt_tokens_computed_total']:.0f} prompt tokens "
                f"computed")
        if not args.no_peer:
            import peer
            with peer.llama_cpp(SMOLLM2, ctx=pool, parallel=args.clients,
                                threads=args.threads) as server:
                full, took = load(server.url, args)
            rates.setdefault(peer.version(), []).append((full * args.answer / took, full))
            line += f"   llama.cpp {rates[peer.version()][-1][0]:6.1f} tok/s, {full} of {total} full"
        print(line, flush=True)

    def draw(axes):
        for label, points in rates.items():
            axes.plot(pools, [rate for rate, _ in points], marker="o", label=label)
            for pool, (rate, full) in zip(pools, points):
                if full < total:
                    axes.annotate(f"{full} of {total}", (pool, rate), fontsize=7,
                                  xytext=(0, 5), textcoords="offset points", ha="center")
        axes.set(xlabel="tokens in the KV pool (numbers: full answers, where not all)",
                 ylabel="answer tokens a second", ylim=(0, None),
                 title=f"{args.clients} clients with chats of up to {base} tokens, {SMOLLM2.stem}, "
                       f"{args.threads} thread(s)")

    plot(args.png, draw)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())

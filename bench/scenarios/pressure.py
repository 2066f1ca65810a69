#!/usr/bin/env python3
"""Clients whose requests fit one by one, but not all at once: every answer must be full.

    bench/scenarios/pressure.py                          6 clients, 1200 + 600 tokens, 2 rounds, -c 4096
    bench/scenarios/pressure.py --pool exact             a pool one block larger than the request
    bench/scenarios/pressure.py --clients 32 --rounds 1
    bench/scenarios/pressure.py --servers 6 --models A.gguf B.gguf ...   all at once, all under pressure
    bench/scenarios/pressure.py --peer                   llama.cpp's server after ours

Full: status 200, exactly the tokens asked for, exactly the prompt's tokens counted, `finish_reason` "length".
The exit code is 1 if one of our answers is not.
"""

import argparse
import collections
import contextlib
import sys
import time

from common import (BLOCK, SMOLLM2, Refused, at_once, blocks_up, exact_prompt, leaked_blocks,
                    llama_box, machine, pauses, post)


def run(url, clients, prompt, answer, rounds):
    """How many answers were full, and how often which other outcome."""
    outcomes = collections.Counter()

    def client(index):
        for turn in range(rounds):
            ids = exact_prompt(url, f"{index}-{turn}", prompt)
            body = {"prompt": ids, "max_tokens": answer, "temperature": 0, "ignore_eos": True}
            try:
                reply = post(url, "/v1/completions", body)
                got = (reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"],
                       reply["choices"][0]["finish_reason"])
                outcomes["full" if got == (prompt, answer, "length") else f"not full: {got}"] += 1
            except Refused as refused:
                outcomes[str(refused)[:120]] += 1
            except OSError as error:
                outcomes[repr(error)] += 1

    at_once(client, range(clients))
    return outcomes.pop("full", 0), outcomes


def timed_run(server, args):
    start = time.perf_counter()
    full, others = run(server.url, args.clients, args.prompt, args.answer, args.rounds)
    return full, others, time.perf_counter() - start


def report(name, args, result, more=""):
    full, others, seconds = result
    total = args.clients * args.rounds
    print(f"{name}: {full} of {total} full, {seconds:.1f} s{more}", flush=True)
    for outcome, count in others.most_common(5):
        print(f"    {count} x {outcome}")
    return full == total


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[str(SMOLLM2)])
    parser.add_argument("--servers", type=int, help="servers at once (default: one per model)")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--prompt", type=int, default=1200)
    parser.add_argument("--answer", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pool", default="4096",
                        help='tokens, or "exact": one block more than a request')
    parser.add_argument("--peer", action="store_true")
    args = parser.parse_args()
    request = blocks_up(args.prompt + args.answer)
    pool = request + BLOCK if args.pool == "exact" else int(args.pool)
    count = args.servers or len(args.models)
    models = [args.models[i % len(args.models)] for i in range(count)]
    print(f"{args.clients} clients x {args.rounds} rounds, {args.prompt} + {args.answer} tokens, "
          f"-c {pool}, {len(set(models))} models in {count} servers; {machine()}")
    good = True
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(llama_box(model, "-c", pool)) for model in models]
        results = at_once(lambda server: timed_run(server, args), servers)
        for model, server, result in zip(models, servers, results):
            left = leaked_blocks(server.url)
            good &= left == 0
            good &= report(f"llama-box {model.rsplit('/', 1)[-1]}", args, result,
                           f", {pauses(server.url)} pauses, {left} blocks leaked")
    if args.peer:
        import peer
        for model in dict.fromkeys(models):
            with peer.llama_cpp(model, ctx=pool, parallel=args.clients) as server:
                report(peer.version(), args, timed_run(server, args))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

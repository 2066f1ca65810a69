#!/usr/bin/env python3
"""Many clients with one system prompt: requests a second, beside llama.cpp's server.

    bench/scenarios/shared_prompt.py [--model A.gguf] [--clients 64] [--requests 3] [--tokens 2000]
                                     [--answer 128] [--runs 3] [--flags "..."] [--setting divided] [--no-peer]

Every client sends its requests one after the other: the system prompt, the same for all and new in
every run, and a question of its own; temperature 0, all answers of equal length. A run is timed
from the first request to the last answer.

LLAMA_SERVER names llama.cpp's server (see peer.py); without it the wheel's runs. The program runs
with each of SETTINGS in the first run, later with the one that was best. --flags go to llama-box.
Needs nothing beyond the standard library with LLAMA_SERVER. The exit code is 1 when an answer of
ours failed or was short.
"""

import argparse
import contextlib
import shlex
import statistics
import sys
import time

import peer
from common import SMOLLM2, Refused, at_once, exact_prompt, llama_box, machine, notes, post

# A cache of prompts in the host's memory helps nobody here: all prompts stay in the GPU's.
COMMON = ["-b", "2048", "-ub", "2048", "--cache-ram", "0"]
SETTINGS = {"unified": ["-kvu"], "divided": ["-no-kvu"], "unified, sampling on the GPU": ["-kvu", "-bs"],
            "divided, sampling on the GPU": ["-no-kvu", "-bs"]}


def one_client(server, system, run, client, args):
    """(prompt tokens, cached ones, answer tokens, seconds) of every request of a client."""
    done = []
    for number in range(args.requests):
        question = notes(f"{run}.{client}.{number}", 2) + " What comes next?"
        body = {"messages": [{"role": "system", "content": system}, {"role": "user", "content": question}],
                "max_tokens": args.answer, "temperature": 0, "ignore_eos": True}
        start = time.perf_counter()
        try:
            usage = post(server.url, "/v1/chat/completions", body)["usage"]
        except Refused as refused:
            print(f"  {server.name}: {refused}", flush=True)
            continue
        done.append((usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"],
                     usage["completion_tokens"], time.perf_counter() - start))
    return done


def timed_run(server, system, run, args):
    """(requests a second, full answers)"""
    start = time.perf_counter()
    clients = at_once(lambda client: one_client(server, system, run, client, args), range(args.clients))
    took = time.perf_counter() - start
    done = [request for requests in clients for request in requests]
    full = sum(request[2] == args.answer for request in done)
    if not done:
        print(f"  {server.name}: no request was answered", flush=True)
        return 0, 0
    waits = sorted(request[3] for request in done)
    print(f"  run {run}, {server.name:12}: {len(done) / took:7.2f} requests/s, "
          f"{sum(r[2] for r in done) / took:8.1f} tokens/s; {took:.2f} s; prompts of "
          f"{min(r[0] for r in done)} to {max(r[0] for r in done)} tokens, "
          f"{100 * sum(r[1] for r in done) / sum(r[0] for r in done):.1f} % from the cache; "
          f"answered in {statistics.median(waits):.2f} s (median), {waits[-1]:.2f} s (longest)", flush=True)
    return full / took, full


def start_peers(stack, ctx, args):
    print(peer.version())
    if not peer.PROGRAM:
        return [stack.enter_context(peer.llama_cpp(args.model, ctx, args.clients))]
    peers = []
    for name, flags in SETTINGS.items():
        if args.setting not in ("", name):
            continue
        try:
            peers.append(stack.enter_context(
                peer.program(args.model, ctx, args.clients, *COMMON, *flags, name=f"llama.cpp, {name}")))
        except RuntimeError as error:
            print(f"{name}: {str(error)[-300:]}")
    return peers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default=str(SMOLLM2))
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=3, help="of each client in a run")
    parser.add_argument("--tokens", type=int, default=2000, help="of the system prompt")
    parser.add_argument("--answer", type=int, default=128)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--flags", default="", help="further flags of llama-box")
    parser.add_argument("--setting", default="", choices=["", *SETTINGS], help="of llama.cpp; all are tried by default")
    parser.add_argument("--no-peer", action="store_true")
    args = parser.parse_args()
    ctx = args.clients * (args.tokens + args.answer + 272)
    print(f"{args.clients} clients x {args.requests}, {args.tokens} shared tokens, answers of {args.answer}, "
          f"{args.model.rsplit('/', 1)[-1]}; {machine()}")
    with contextlib.ExitStack() as stack:
        begin = time.perf_counter()
        box = stack.enter_context(llama_box(args.model, "-c", ctx, "--parallel", args.clients,
                                            *shlex.split(args.flags)))
        servers = [box] + ([] if args.no_peer else start_peers(stack, ctx, args))
        print(f"started in {time.perf_counter() - begin:.1f} s")
        rates, full = {server.name: [] for server in servers}, 0
        for run in range(args.runs):
            ids = exact_prompt(box.url, f"shared {run}", args.tokens)
            system = post(box.url, "/detokenize", {"tokens": ids})["content"]
            for server in servers:
                rate, answered = timed_run(server, system, run, args)
                rates[server.name].append(rate)
                full += answered if server is box else 0
            if run == 0:  # the best setting of the peer goes on
                servers = [box] + sorted(servers[1:], key=lambda s: -rates[s.name][0])[:1]
    for server in servers:
        values = rates[server.name]
        print(f"{server.name}: {statistics.median(values):.2f} requests/s (median of {len(values)} runs, "
              f"{min(values):.2f} to {max(values):.2f})")
    if len(servers) > 1:
        pairs = zip(rates[box.name], rates[servers[1].name])
        print(f"ratio {statistics.median(a / b for a, b in pairs if b):.2f} (median of the runs)")
    return 0 if full == args.runs * args.clients * args.requests else 1


if __name__ == "__main__":
    sys.exit(main())

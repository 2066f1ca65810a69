#!/usr/bin/env python3
"""Answers per minute to many clients at once: questions of MT-bench, the same length of answer each.

    bench/scenarios/mt_bench.py --questions mt_bench_question.jsonl [--model A.gguf] [--clients 16]
                                [--requests 32] [--answer 128] [--runs 3] [--threads N]
                                [--peer-parallel 16 8 4] [--no-peer]

Each client asks the next question as soon as it has its answer. Ours and llama.cpp's server in
turn, medians. llama.cpp's server is started with each number of slots in --peer-parallel, and the
best of its medians counts. Every answer must be full: status 200 and exactly --answer tokens.
"""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import sys
import threading
import time

from common import MODELS, at_once, llama_box, machine, post

QWEN = MODELS / "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf"
ROOM = 512  # tokens of the longest question with its template; some have 400


def questions(path):
    lines = pathlib.Path(path).read_text().splitlines()
    return [json.loads(line)["turns"][0] for line in lines]


def answers_per_minute(server, texts, args):
    """(answers a minute, prompt tokens of all)"""
    waiting = iter(texts)
    lock = threading.Lock()
    prompt_tokens = []

    def client(_):
        while True:
            with lock:
                text = next(waiting, None)
            if text is None:
                return
            reply = post(server.url, "/v1/chat/completions", {
                "messages": [{"role": "user", "content": text}], "max_tokens": args.answer,
                "temperature": 0, "ignore_eos": True, "cache_prompt": False})
            usage = reply["usage"]
            if usage["completion_tokens"] != args.answer:
                raise RuntimeError(f"{server.name}: {usage['completion_tokens']} of {args.answer} tokens")
            prompt_tokens.append(usage["prompt_tokens"])

    start = time.perf_counter()
    at_once(client, range(args.clients))
    took = time.perf_counter() - start
    return 60 * len(texts) / took, sum(prompt_tokens)


def servers(args):
    """(name, function that starts it) of each contestant."""
    ctx = args.clients * (ROOM + args.answer)
    yield "llama-box", lambda: llama_box(args.model, "-c", ctx, "--threads", args.threads)
    if not args.no_peer:
        import peer
        print(peer.version())
        for slots in args.peer_parallel:
            yield (f"llama.cpp, {slots} slots",
                   lambda slots=slots: peer.llama_cpp(args.model, ctx=ctx, parallel=slots, threads=args.threads))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--questions", required=True)
    parser.add_argument("--model", default=str(QWEN))
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--answer", type=int, default=128)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both servers")
    parser.add_argument("--peer-parallel", type=int, nargs="+", default=[16, 8, 4])
    parser.add_argument("--no-peer", action="store_true")
    args = parser.parse_args()
    texts = list(itertools.islice(itertools.cycle(questions(args.questions)), args.requests))
    print(f"{args.clients} clients, {args.requests} questions, {args.answer} tokens each, {args.threads} threads, "
          f"{args.model.rsplit('/', 1)[-1]}; {machine()}")
    rates = {}
    contestants = list(servers(args))
    for run in range(args.runs):
        for name, start in contestants:
            with start() as server:
                post(server.url, "/v1/completions", {"prompt": "Warm up.", "max_tokens": 4})
                rate, tokens = answers_per_minute(server, texts, args)
            rates.setdefault(name, []).append(rate)
            print(f"  run {run + 1}, {name}: {rate:.2f} answers a minute ({tokens} prompt tokens)", flush=True)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name}: {medians[name]:.2f} ({min(values):.2f} - {max(values):.2f}) answers a minute")
    theirs = {name: value for name, value in medians.items() if name != "llama-box"}
    if theirs:
        best = max(theirs, key=theirs.get)
        print(f"ratio to {best}: {medians['llama-box'] / theirs[best]:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

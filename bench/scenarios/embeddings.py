#!/usr/bin/env python3
"""Embeddings a second of one client that sends 32 texts at a time, beside llama.cpp's server.

    embeddings.py [--model MODEL.gguf] [--rounds 5] [--seconds 2] [--threads N] [--words 8,48]
                  [--no-peer]

Both servers live through the whole run and take turns. llama.cpp's gets as many slots as a request
has texts. The cosine between both servers' vectors is printed, too.
"""

import argparse
import contextlib
import os
import random
import statistics
import sys
import time

from common import MODELS, WORDS, llama_box, machine, post
from peer import llama_cpp, version

TEXTS = 32


def texts(seed, words):
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) for _ in range(rng.randrange(words // 2, words * 3 // 2 + 1)))
            for _ in range(TEXTS)]


def embed(server, batch):
    return post(server.url, "/v1/embeddings", {"input": batch})


def rate(server, words, seconds, seed):
    """Embeddings a second; no text comes twice."""
    start = time.perf_counter()
    count = 0
    while time.perf_counter() - start < seconds:
        embed(server, texts(seed * 100_000 + count, words))
        count += TEXTS
    return count / (time.perf_counter() - start)


def cosine(a, b):
    pairs = zip(a["data"], b["data"])
    return min(sum(x * y for x, y in zip(one["embedding"], other["embedding"]))
               for one, other in pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=MODELS / "all-MiniLM-L6-v2.f16.gguf")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--words", default="8,48", help="mean lengths of the texts")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--least", type=float, default=1.5, help="ratio below which the run fails")
    args = parser.parse_args()
    print(f"{machine()}; {os.path.basename(args.model)}, {args.threads} threads, {TEXTS} texts a request")
    failed = False
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(llama_box(args.model, "-c", args.context, "--threads",
                                                 args.threads, "--verbosity", 0))]
        if not args.no_peer:
            print(version())
            servers.append(stack.enter_context(
                llama_cpp(args.model, args.context, TEXTS, args.threads, embedding=True)))
        for words in map(int, args.words.split(",")):
            replies = [embed(server, texts(1, words)) for server in servers]
            tokens = replies[0]["usage"]["total_tokens"] / TEXTS
            rates = [[] for _ in servers]
            for turn in range(args.rounds):
                for server, found in zip(servers, rates):
                    found.append(rate(server, words, args.seconds, turn + 1))
            medians = [statistics.median(found) for found in rates]
            line = f"{tokens:.0f} tokens a text: " + ", ".join(
                f"{server.name} {median:.0f}/s ({min(found):.0f} to {max(found):.0f})"
                for server, median, found in zip(servers, medians, rates))
            if len(servers) == 2:
                ratio = medians[0] / medians[1]
                failed |= ratio < args.least
                line += f"; ratio {ratio:.2f}; least cosine {cosine(*replies):.6f}"
            print(line, flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

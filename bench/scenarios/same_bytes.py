#!/usr/bin/env python3
"""Same prompt, same bytes: greedy answers over threads, step sizes, pools, caches, neighbours.

    bench/scenarios/same_bytes.py [--models A.gguf ...] [--kv f16 q8_0] [--threads 1 2]
                                  [--batch 32 2048] [--prompts 4] [--answer 48] [--peer]

For each model and KV type, a server with each number of threads, each --batch-size, and a large
pool or one that is a block larger than the largest request. Each server answers every prompt in
five ways: cold, on a warm cache, all at once, after prompts that share their first half, with
caching off. All these answers must equal the first server's cold ones. In the small pools the
answers come out longer than the scheduler expects (short ones went before), so that requests must
be paused; a run in which none was proves nothing and counts as a failure. The exit code is 1 if
an answer differs.
"""

import argparse
import itertools
import sys

from common import (BLOCK, SMOLLM2, at_once, blocks_up, leaked_blocks, llama_box, machine, notes,
                    pauses, post, token_ids)

FACTS = (4, 48, 9, 60, 22, 6, 35, 15)  # of the prompts: 60 to 800 tokens
PARALLEL = 16  # more than fit into a small pool, where the automatic number would be careful


def prompts(count):
    return [notes(100 + i, FACTS[i % len(FACTS)]) + " A story about it: Once upon a time"
            for i in range(count)]


def ask(url, text, answer, **more):
    body = {"prompt": text, "max_tokens": answer, "temperature": 0, "ignore_eos": True, **more}
    reply = post(url, "/v1/completions", body)
    tokens = reply["usage"]["completion_tokens"]
    if tokens != answer:
        raise RuntimeError(f"{tokens} of {answer} tokens")
    return reply["choices"][0]["text"]


def answers(url, texts, answer, num_neighbours=8):
    """The answers to all texts, by the way in which they were asked.

    Neighbours have short prompts and long answers; theirs are not compared.
    """
    def all_at_once():
        # These short answers make the scheduler expect short ones, and so admit more than fits.
        at_once(lambda i: ask(url, f"{i}", 1), range(64))
        neighbours = [notes(200 + i, 3) for i in range(num_neighbours)]
        # They come first: the younger are paused when room runs out, and those are compared.
        got = at_once(lambda text: ask(url, text, max(4 * answer, 64) if text in neighbours else answer),
                      neighbours + texts)
        return got[len(neighbours):]

    def after_shared_prefixes():
        for text in texts:
            ask(url, text[:len(text) // 2] + " and then", answer)
        return [ask(url, text, answer) for text in texts]

    return {"cold": [ask(url, text, answer) for text in texts],
            "warm cache": [ask(url, text, answer) for text in texts],
            "all at once": all_at_once(),
            "after a shared prefix": after_shared_prefixes(),
            "cache off": [ask(url, text, answer, cache_prompt=False) for text in texts]}


def differing(right, ways):
    """How many answers differ from `right`, by way."""
    return {way: sum(a != b for a, b in zip(right, got, strict=True)) for way, got in ways.items()}


def largest_request(server, texts, answer):
    # One more for a BOS that /tokenize was not asked for.
    return max(len(token_ids(server.url, text)) for text in texts) + 1 + answer


def check(model, kv, args):
    """(answers compared, answers that differ, small pools without a pause)"""
    texts = prompts(args.prompts)
    right, small, total, bad, calm = None, None, 0, 0, 0
    for pool, threads, batch in itertools.product(("large", "small"), args.threads, args.batch):
        size = 16384 if pool == "large" else small
        with llama_box(model, "-c", size, "-ctk", kv, "-ctv", kv, "--threads", threads,
                       "--batch-size", batch, "--parallel", PARALLEL) as server:
            small = small or blocks_up(largest_request(server, texts, args.answer)) + BLOCK
            ways = answers(server.url, texts, args.answer)
            paused, leaked = pauses(server.url), leaked_blocks(server.url)
        right = right or ways["cold"]
        wrong = differing(right, ways)
        total += len(texts) * len(ways)
        bad += sum(wrong.values())
        calm += pool == "small" and paused == 0
        print(f"  -ctk {kv} --threads {threads} --batch-size {batch} -c {size}: "
              f"{sum(wrong.values())} of {len(texts) * len(ways)} differ, {paused} pauses, "
              f"{leaked} blocks leaked", flush=True)
        for way, count in wrong.items():
            if count:
                print(f"    {way}: {count} of {len(texts)} differ")
    return total, bad, calm


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[str(SMOLLM2)])
    parser.add_argument("--kv", nargs="+", default=["f16", "q8_0"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batch", nargs="+", type=int, default=[32, 2048])
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--answer", type=int, default=48)
    parser.add_argument("--peer", action="store_true", help="llama.cpp's server with f16, too")
    args = parser.parse_args()
    print(machine())
    total = bad = calm = 0
    for model in args.models:
        print(model.rsplit("/", 1)[-1])
        for kv in args.kv:
            result = check(model, kv, args)
            total, bad, calm = (a + b for a, b in zip((total, bad, calm), result))
        if args.peer:
            import peer
            with peer.llama_cpp(model, ctx=16384, parallel=args.prompts) as server:
                ways = answers(server.url, prompts(args.prompts), args.answer)
            wrong = differing(ways["cold"], ways)
            print(f"  {peer.version()}: {sum(wrong.values())} of {len(ways) * args.prompts} differ "
                  f"{wrong}")
    print(f"llama-box: {bad} of {total} differ; small pools without a pause: {calm}")
    return 1 if bad or calm else 0


if __name__ == "__main__":
    sys.exit(main())

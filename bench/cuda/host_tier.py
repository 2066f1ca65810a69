#!/usr/bin/env python3
"""What the host tier of the KV cache saves: prompts that the pool has no room for come again, with and without --kv-host-memory.

    bench/cuda/host_tier.py --model A.gguf [--prompts 12] [--tokens 4000] [--rounds 3] [--host 16G]

One client. All prompts together are three times the pool. Each is asked once, then once more in every round, in the same order, so that a
pool alone has none of it left. Time to the first token, and cached_tokens, by server; medians over all prompts of the rounds after the
first. The exit code is 1 when the tier did not give back every whole block of a prompt. Standard library only.
"""

import argparse
import pathlib
import random
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenarios"))
import common  # noqa: E402


def ask(url, prompt):
    """(seconds to the first token, cached tokens)"""
    first, cached = 0, 0
    body = {"prompt": prompt, "max_tokens": 4, "temperature": 0, "ignore_eos": True, "stream_options": {"include_usage": True}}
    for at, event in common.stream(url, "/v1/completions", body):
        if first == 0:
            first = at
        if event.get("usage"):
            cached = event["usage"]["prompt_tokens_details"]["cached_tokens"]
    return first, cached


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompts", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=4000, help="of each prompt")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--host", default="16G", help="--kv-host-memory of the one server")
    args = parser.parse_args()
    numbers = random.Random(1)
    prompts = [[numbers.randrange(1000, 20000) for _ in range(args.tokens)] for _ in range(args.prompts)]
    expected = (args.tokens - 1) // common.BLOCK * common.BLOCK
    print(f"{args.prompts} prompts of {args.tokens} tokens, {args.model.rsplit('/', 1)[-1]}; {common.machine()}", flush=True)
    print("| server | first time, ms | again, ms | cached tokens |\n|---|---:|---:|---:|")
    whole = True
    for name, flags in (("pool alone", []), (f"--kv-host-memory {args.host}", ["--kv-host-memory", args.host])):
        with common.llama_box(args.model, "-c", args.prompts * args.tokens // 3, "--parallel", 4, *flags) as box:
            rounds = [[ask(box.url, prompt) for prompt in prompts] for _ in range(1 + args.rounds)]
        again = [one for one_round in rounds[1:] for one in one_round]
        cached = statistics.median(tokens for _, tokens in again)
        whole = whole and (not flags or all(tokens == expected for _, tokens in again))
        print(f"| {name} | {1000 * statistics.median(first for first, _ in rounds[0]):.1f} | "
              f"{1000 * statistics.median(first for first, _ in again):.1f} | {cached:,.0f} of {args.tokens:,} |", flush=True)
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""What grammars cost on a GPU: the same answers bound and free, in turn, one server.

    bench/cuda/structured_cost.py [--model A.gguf] [--clients 32] [--tokens 128] [--runs 5] [--mixed]
                                  [--server build/release/llama-box] [--flags "..."]

All clients stream an answer of --tokens tokens at once, each to a prompt of its own: free, bound by a grammar that allows any
text (masks of nearly all tokens; it ends with words that nobody says), and bound by a JSON schema (an array of numbers that is
never long enough to end, so masks of few tokens). No answer ends early, so random weights do. --mixed: only every fourth
client is bound, the others answer freely beside it. Tokens a second are those of all clients, from the first request to the last answer; a
grammar is compiled before. Medians of the runs. Without --server LLAMABOX_BUILD has llama-box. Standard library only.
The exit code is 1 when an answer was short.
"""

import argparse
import pathlib
import shlex
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenarios"))
import common  # noqa: E402

NUMBERS = {"type": "array", "items": {"type": "integer"}, "minItems": 1000}
MODES = {
    "free": {},
    "any text": {"grammar": r'root ::= [^\x00]* "Here ends all that was to be said."'},
    "numbers": {"response_format": {"type": "json_schema", "json_schema": {"name": "numbers", "schema": NUMBERS}}},
}


def one_client(url, seed, constraint, tokens):
    """(seconds to the first token, tokens) of an answer."""
    body = {"prompt": common.notes(seed, 2), "max_tokens": tokens, "ignore_eos": True, "seed": 1,
            "stream_options": {"include_usage": True}, **constraint}
    first, answered = 0, 0
    for at, event in common.stream(url, "/v1/completions", body):
        if first == 0:
            first = at
        if event.get("usage"):
            answered = event["usage"]["completion_tokens"]
    return first, answered


def timed_run(url, run, mode, args):
    """(tokens a second, whether all answers were of full length)"""
    def ask(client):
        bound = not args.mixed or client % 4 == 0
        return one_client(url, f"{mode} {run}.{client}", MODES[mode] if bound else {}, args.tokens)

    start = time.perf_counter()
    done = common.at_once(ask, range(args.clients))
    took = time.perf_counter() - start
    rate = sum(tokens for _, tokens in done) / took
    print(f"  run {run + 1}, {mode:8}: {rate:9,.1f} tokens/s; {took:.3f} s; first token after "
          f"{1000 * statistics.median(first for first, _ in done):.1f} ms (median)", flush=True)
    return rate, all(tokens == args.tokens for _, tokens in done)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(common.SMOLLM2))
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=128, help="of each answer")
    parser.add_argument("--runs", type=int, default=5, help="of each kind")
    parser.add_argument("--mixed", action="store_true", help="every fourth client is bound, the others are free")
    parser.add_argument("--server", default=str(common.BINARY), help="the llama-box that is measured")
    parser.add_argument("--flags", default="", help="further flags of it")
    args = parser.parse_args()
    common.BINARY = pathlib.Path(args.server)
    print(f"{args.clients} clients{', every fourth bound' if args.mixed else ''}, answers of {args.tokens}, "
          f"{args.model.rsplit('/', 1)[-1]}; {common.machine()}", flush=True)
    rates, whole = {mode: [] for mode in MODES}, True
    with common.llama_box(args.model, "-c", args.clients * (args.tokens + 128), "--parallel", args.clients,
                          *shlex.split(args.flags)) as box:
        for mode, constraint in MODES.items():  # compiled; and steps of so many sequences are graphs
            one_client(box.url, f"first {mode}", constraint, args.tokens)
            common.at_once(lambda client, mode=mode: one_client(box.url, f"warm {mode} {client}", MODES[mode], 16), range(args.clients))
        for run in range(args.runs):
            for mode in MODES:
                rate, full = timed_run(box.url, run, mode, args)
                rates[mode].append(rate)
                whole = whole and full
    free = statistics.median(rates["free"])
    print(f"\n| answers | tokens a second (median of {args.runs}, least to most) | part of free |\n|---|---:|---:|")
    for mode, values in rates.items():
        middle = statistics.median(values)
        print(f"| {mode} | {middle:,.0f} ({min(values):,.0f} to {max(values):,.0f}) | {100 * middle / free:.0f} % |")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())

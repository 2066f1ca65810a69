#!/usr/bin/env python3
"""What --deterministic costs on a GPU: the same work with and without it, in turn.

    bench/cuda/deterministic_cost.py MODEL.gguf [--rounds 3]

Prefill of 4,096 tokens, decode of 1 stream from nothing, of 32 and 128 streams behind 512 tokens each; medians of the
rounds, each the median of the repetitions of one process. LLAMABOX_BUILD has llama-box. Standard library only.
"""

import argparse
import collections
import statistics
import sys

from beside_peer import BOX, lines

RUNS = ["-p 4096 -n 42 -r 5 --streams 1 --depth 0", "-p 0 -n 42 -r 3 --streams 32,128 --depth 512"]
MODES = {"usual": [], "deterministic": ["--deterministic"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    speeds = collections.defaultdict(list)
    for number in range(args.rounds):
        for arguments in RUNS:
            for mode, flags in MODES.items():
                found, took = lines([BOX, "bench", "-m", args.model, "--json", *arguments.split(), *flags])
                print(f"  round {number + 1}: {took:5.1f} s {mode} {arguments}", flush=True)
                for row in found[2:]:
                    speeds[row["test"], row["streams"], row["depth"], mode].append(row["tokens_per_second"])
    print(f"\n{found[0]['backend']}, {found[0]['model']}, tokens a second")
    print("| work | usual | deterministic | part |\n|---|---:|---:|---:|")
    for test, streams, depth, mode in list(speeds):
        if mode != "usual":
            continue
        usual, fixed = (statistics.median(speeds[test, streams, depth, mode]) for mode in MODES)
        print(f"| {test}, {streams} stream(s), {depth} deep | {usual:,.0f} | {fixed:,.0f} | {100 * fixed / usual:.0f} % |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

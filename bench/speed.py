#!/usr/bin/env python3
"""Prefill and decode speed of one stream beside llama.cpp's, in turn on the same machine: medians and ratios.

    bench/speed.py [--models A.gguf B.gguf] [--prompt 512] [--new 32] [--runs 5] [--threads N]

Both engines run the same number of tokens from an empty cache, without server and sampling.
Needs: pip install numpy xllamacpp; build/release/model_eval.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from llamacpp_wheel import LlamaCpp, version  # noqa: E402


def ours(model, args):
    """(prefill, decode) in tokens a second."""
    build = Path(os.environ.get("LLAMABOX_BUILD", ROOT / "build/release"))
    text = subprocess.check_output(
        [build / "model_eval", "-m", model, "--threads", str(args.threads), "--speed", f"{args.prompt},{args.new}"],
        text=True, stderr=subprocess.STDOUT)
    return tuple(float(re.search(rf"^{what} .*?([0-9.]+) tok/s", text, re.M)[1]) for what in ("prefill", "decode"))


def peers(model, args):
    """One run from a fresh context, as ours; the first batch of a model is slow, so one goes before."""
    engine = LlamaCpp(model, context=args.prompt + args.new + 8, threads=args.threads)
    ids = [100 + i * 7919 % 20000 for i in range(args.prompt)]
    engine.run(ids[:16], 0, all_logits=False)
    engine.clear()
    start = time.perf_counter()
    engine.run(ids, 0, all_logits=False)
    middle = time.perf_counter()
    for i in range(args.new):
        engine.run([ids[i]], args.prompt + i, all_logits=False)
    end = time.perf_counter()
    engine.close()
    return args.prompt / (middle - start), args.new / (end - middle)


def main():
    parser = argparse.ArgumentParser()
    models = Path(os.environ.get("LLAMABOX_MODELS", ROOT / "models"))
    parser.add_argument("--models", nargs="+", default=[str(models / "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf")])
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=32)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    print(f"{version()}, {args.threads} threads, prefill {args.prompt}, decode {args.new}, "
          f"median of {args.runs} runs in turn (min-max), tokens a second")
    for model in args.models:
        rows = [(ours(model, args), peers(model, args)) for _ in range(args.runs)]
        print(Path(model).name)
        for i, what in enumerate(("prefill", "decode")):
            a, b = ([row[side][i] for row in rows] for side in (0, 1))
            print(f"  {what:8} ours {statistics.median(a):7.1f} ({min(a):.1f}-{max(a):.1f})   "
                  f"llama.cpp {statistics.median(b):7.1f} ({min(b):.1f}-{max(b):.1f})   "
                  f"ratio {statistics.median(x / y for x, y in zip(a, b)):.2f}")


main()

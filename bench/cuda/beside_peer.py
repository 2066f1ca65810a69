#!/usr/bin/env python3
"""Decode and prefill on a GPU, llama-box beside llama.cpp, in turn on the same card.

    bench/cuda/beside_peer.py --peer DIR --models DIR [--rounds 3] [--seconds 200] [--rows q8,q4,8b]

--peer has llama-bench and llama-batched-bench of a CUDA build; --models has r1-q8.gguf, r1-q4.gguf
(the shape of DeepSeek-R1-Distill-Qwen-1.5B) and llama-8b-q8.gguf (Llama-3.1-8B); random weights do.
LLAMABOX_BUILD (default build/release) has llama-box.

Both compute every layer on the GPU with an f16 cache, the peer with flash attention. In the first
round the peer runs with each of its SETTINGS, later only with those that were best of a row. No new
round begins when it would not end within --seconds. Every figure is tokens a second; a round of
ours is the median of the repetitions in one process, and the table has the medians of the rounds.
Standard library only.
"""

import argparse
import collections
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOX = pathlib.Path(os.environ.get("LLAMABOX_BUILD", ROOT / "build/release")) / "llama-box"

# What each row of the table is called: by the model, the kind, the streams and the depth.
ROWS = {
    ("r1-q8", "decode", 1, 0): "decode, 1 stream, Q8_0",
    ("r1-q4", "decode", 1, 0): "decode, 1 stream, Q4_K",
    ("r1-q8", "decode", 1, 8192): "decode, 1 stream, 8,192 deep, Q8_0",
    ("r1-q8", "prefill", 1, 0): "prefill 4,096, Q8_0",
    ("r1-q8", "decode", 32, 512): "decode, 32 streams, 512 + 126, Q8_0",
    ("r1-q8", "decode", 128, 512): "decode, 128 streams, 512 + 126, Q8_0",
    ("llama-8b-q8", "decode", 1, 0): "8B, decode, 1 stream, Q8_0",
}

# Three times 42 steps: as deep as the peer's one run of 126.
OURS = {
    "q8": [("r1-q8", "-p 4096 -n 0 -r 5"), ("r1-q8", "-p 0 -n 42 -r 3 --streams 1 --depth 0,8192"),
           ("r1-q8", "-p 0 -n 42 -r 3 --streams 32,128 --depth 512")],
    "q4": [("r1-q4", "-p 0 -n 42 -r 3 --streams 1 --depth 0")],
    "8b": [("llama-8b-q8", "-p 0 -n 42 -r 3 --streams 1 --depth 0")],
}
SINGLE = "-p 0 -n 126 -r 3"
GRAPH_OPT = {"GGML_CUDA_GRAPH_OPT": "1"}
# (model, program, arguments, environment): the settings that are tried.
PEERS = {
    "q8": [("r1-q8", "llama-bench", "-p 4096 -n 0 -r 3 -b 4096 -ub 512,1024,2048,4096", {}),
           ("r1-q8", "llama-bench", f"{SINGLE} -d 0,8192", {}),
           ("r1-q8", "llama-bench", f"{SINGLE} -d 0,8192", GRAPH_OPT),
           ("r1-q8", "llama-batched-bench", "-npp 512 -ntg 126 -npl 32,128 -c 83968 -b 2048 -ub 2048", {}),
           ("r1-q8", "llama-batched-bench", "-npp 512 -ntg 126 -npl 32,128 -c 83968 -b 2048 -ub 2048 -kvu", {})],
    "q4": [("r1-q4", "llama-bench", SINGLE, {}), ("r1-q4", "llama-bench", SINGLE, GRAPH_OPT)],
    "8b": [("llama-8b-q8", "llama-bench", SINGLE, {})],
}


def lines(command, environment=None):
    """The JSON objects that a program prints, one a line."""
    begin = time.monotonic()
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300,
                         env={**os.environ, **(environment or {})})
    found = [json.loads(line) for line in (ran.stdout + "\n" + ran.stderr).splitlines()
             if line.startswith("{")]
    if ran.returncode != 0 or not found:
        raise RuntimeError(f"{command} ended with {ran.returncode}:\n{ran.stdout[-1500:]}{ran.stderr[-1500:]}")
    return found, time.monotonic() - begin


def ours(models, model, arguments):
    """(tokens a second, fraction of the wall) by row, and the walls."""
    found, took = lines([BOX, "bench", "-m", models / f"{model}.gguf", "--json", "-ngl", "all",
                         *arguments.split()])
    machine, load, *rows = found
    if "CUDA" not in machine["backend"].upper():
        raise RuntimeError(f"llama-box computes on {machine['backend']}")
    print(f"  {took:5.1f} s llama-box {model} {arguments} (loaded in {load['seconds']:.1f} s)", flush=True)
    return {(model, row["test"], row["streams"], row["depth"]): (row["tokens_per_second"], row["fraction"])
            for row in rows}, machine


def theirs(peer, models, model, program, arguments, environment):
    """(tokens a second, the setting in words) by row."""
    fixed = ["-m", models / f"{model}.gguf", "-ngl", "99", "-fa", "on"]
    fixed += ["-o", "jsonl"] if program == "llama-bench" else ["--output-format", "jsonl"]
    found, took = lines([peer / program, *fixed, *arguments.split()], environment)
    print(f"  {took:5.1f} s {program} {model} {arguments} {environment or ''}", flush=True)
    rows = {}
    for line in found:
        if line.get("gpu_info") == "":
            raise RuntimeError(f"{program} sees no GPU")
        if program == "llama-batched-bench":
            key, speed = (model, "decode", line["pl"], line["pp"]), line["speed_tg"]
        elif line["n_gen"]:
            key, speed = (model, "decode", 1, line["n_depth"]), statistics.median(line["samples_ts"])
        else:
            key, speed = (model, "prefill", 1, line["n_depth"]), statistics.median(line["samples_ts"])
        if key not in rows or speed > rows[key][0]:
            rows[key] = speed, f"ub {line['n_ubatch']}{' -kvu' if '-kvu' in arguments else ''}" \
                               f"{' graph opt' if environment else ''}"
    return rows


def measure(args):
    """Tokens a second of every round, by row: ours, theirs."""
    box, peer, fractions, settings = (collections.defaultdict(list) for _ in range(4))
    groups = args.rows.split(",")
    tried = [setting for group in groups for setting in PEERS[group]]
    begin, longest = time.monotonic(), 0
    for number in range(args.rounds):
        start = time.monotonic()
        if start - begin + longest > args.seconds:
            print(f"no time for round {number + 1}")
            break
        print(f"round {number + 1}, at {start - begin:.0f} s", flush=True)
        results = {}
        for model, arguments in [run for group in groups for run in OURS[group]]:
            rows, machine = ours(args.models, model, arguments)
            for key, (speed, fraction) in rows.items():
                box[key].append(speed)
                fractions[key].append(fraction)
        for setting in tried:
            results[str(setting)] = theirs(args.peer, args.models, *setting)
        best = {}
        for name, rows in results.items():
            for key, (speed, words) in rows.items():
                if key not in best or speed > best[key][0]:
                    best[key] = speed, words, name
        for key, (speed, words, _) in best.items():
            peer[key].append(speed)
            settings[key].append(words)
        if number == 0:
            for name, rows in results.items():
                print(f"  tried {name}: {({k[1:]: round(v[0], 1) for k, v in rows.items()})}")
            tried = [s for s in tried if str(s) in {name for _, _, name in best.values()}]
            longest = time.monotonic() - start
    print(f"walls: {machine['read_gbs']:.0f} GB/s, {machine['int8_gops'] / 1000:.0f} TFLOP/s of fp16 products")
    return box, peer, fractions, settings


def spread(values):
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} - {max(values):,.0f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=200)
    parser.add_argument("--rows", default="q8,q4,8b")
    args = parser.parse_args()
    box, peer, fractions, settings = measure(args)
    print("\n| work | llama.cpp | llama-box | ratio | of the wall | llama.cpp's setting |\n|---|---:|---:|---:|---:|---|")
    for key, name in ROWS.items():
        if not box[key] or not peer[key]:
            continue
        ratio = statistics.median(a / b for a, b in zip(box[key], peer[key]))
        print(f"| {name} | {spread(peer[key])} | {spread(box[key])} | {ratio:.2f} | "
              f"{100 * statistics.median(fractions[key]):.0f} % | {', '.join(sorted(set(settings[key])))} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

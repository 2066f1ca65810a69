#!/usr/bin/env python3
"""What LoRA adapters cost: prompts and answers without one, with one, and with four different ones at once.

    adapters.py [--model MODEL.gguf] [--rank 16] [--prompt 512] [--answer 48] [--runs 5] [--threads N]
                (needs the packages gguf and numpy)

The adapters are random ones over all linear layers, made for the model. One server has all four; the ways take
turns, nothing is cached, and each figure is the median of the ratios to the run without adapters beside it.
"""

import argparse
import os
import pathlib
import statistics
import tempfile
import time

import gguf
import numpy as np

from common import SMOLLM2, at_once, exact_prompt, llama_box, machine, post

STREAMS = 4


def write_adapter(path, model, rank, seed):
    """As trained ones are stored: F16, A and B beside each matrix of every layer."""
    rng = np.random.default_rng(seed)
    reader = gguf.GGUFReader(model)
    writer = gguf.GGUFWriter(str(path), reader.fields["general.architecture"].contents())
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(rank))
    for tensor in reader.tensors:
        if len(tensor.shape) != 2 or not tensor.name.startswith("blk."):
            continue
        cols, rows = map(int, tensor.shape)
        for half, shape, spread in (("a", (rank, cols), cols**-0.5), ("b", (rows, rank), 0.02)):
            data = rng.normal(0, spread, shape).astype(np.float16)
            writer.add_tensor(f"{tensor.name}.lora_{half}", data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def seconds(url, prompts, answer, adapters):
    """Of one request for each prompt, all at once; `adapters`: the number of each one's, or None."""
    def ask(pair):
        ids, adapter = pair
        chosen = [] if adapter is None else [{"id": adapter, "scale": 1.0}]
        post(url, "/v1/completions", {"prompt": ids, "max_tokens": answer, "ignore_eos": True,
                                      "temperature": 0, "cache_prompt": False, "lora": chosen})
    start = time.perf_counter()
    at_once(ask, zip(prompts, adapters))
    return time.perf_counter() - start


def compare(url, name, prompts, answer, ways, runs, tokens):
    """One line: tokens per second without adapters, and what share of it the other ways reach."""
    shares = {way: [] for way in ways}
    plain = []
    for run in range(runs + 1):
        base = seconds(url, prompts, answer, [None] * len(prompts))
        found = {way: seconds(url, prompts, answer, adapters) for way, adapters in ways.items()}
        if run == 0:
            continue  # warms up
        plain.append(tokens / base)
        for way, took in found.items():
            shares[way].append(base / took)
    line = ", ".join(f"{way} {statistics.median(share):.2f} ({min(share):.2f} to {max(share):.2f})"
                     for way, share in shares.items())
    print(f"{name}: {statistics.median(plain):.0f} tokens/s without; {line}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=SMOLLM2)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--answer", type=int, default=48)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    print(f"{machine()}; {os.path.basename(args.model)}, {args.threads} threads, rank {args.rank}")
    with tempfile.TemporaryDirectory() as folder:
        files = [write_adapter(pathlib.Path(folder) / f"{seed}.gguf", args.model, args.rank, seed)
                 for seed in range(STREAMS)]
        flags = [word for file in files for word in ("--lora", file)]
        with llama_box(args.model, "-c", 4096, "--threads", args.threads, "--verbosity", 0,
                       "--lora-init-without-apply", *flags) as server:
            long = [exact_prompt(server.url, seed, args.prompt) for seed in range(STREAMS)]
            part = [ids[:args.prompt // STREAMS] for ids in long]
            short = [ids[:16] for ids in long]
            one, several = {"one": [0]}, {"one for all": [0] * STREAMS, "four": list(range(STREAMS))}
            compare(server.url, f"prompt of {args.prompt}", long[:1], 1, one, args.runs, args.prompt)
            compare(server.url, f"{STREAMS} prompts of {len(part[0])}", part, 1, several, args.runs,
                    STREAMS * len(part[0]))
            compare(server.url, "answer, 1 stream", short[:1], args.answer, one, args.runs, args.answer)
            compare(server.url, f"answers, {STREAMS} streams", short, args.answer, several, args.runs,
                    STREAMS * args.answer)


if __name__ == "__main__":
    main()

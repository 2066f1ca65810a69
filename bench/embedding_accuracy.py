#!/usr/bin/env python3
"""How near a served encoder's vectors are to those of the numpy reference (tests/reference).

    embedding_accuracy.py MODEL.gguf [--least 0.999]     (needs the packages gguf and numpy)

Prints the cosine for texts of several lengths, the longest the model's whole context or 512 tokens,
and fails when one is below --least.
"""

import argparse
import json
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "scenarios"), str(HERE.parent / "tests" / "reference")]

from common import get, llama_box, notes, post  # noqa: E402
from reference_encoder import ReferenceEncoder  # noqa: E402

TEXTS = ["hello world", "The quick brown fox jumps over the lazy dog.",
         "Wie spät ist es in 北京?", "def f(x):\n    return x + 1", notes(1, 4), notes(2, 12)]


def context(server):
    return json.loads(get(server.url, "/v1/models"))["data"][0]["meta"]["n_slot_ctx"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--least", type=float, default=0.999)
    args = parser.parse_args()
    reference = ReferenceEncoder(args.model)
    worst = 1.0
    with llama_box(args.model) as server:
        limit = min(512, context(server))
        inputs = [post(server.url, "/tokenize", {"content": text, "add_special": True})["tokens"]
                  for text in TEXTS]
        long = post(server.url, "/tokenize", {"content": notes(3, 200), "add_special": True})
        inputs.append(long["tokens"][:limit])
        got = post(server.url, "/v1/embeddings", {"input": inputs})["data"]
    for ids, item in zip(inputs, got):
        want = reference.vector(ids)
        cosine = float(np.dot(item["embedding"], want) / np.linalg.norm(want))
        worst = min(worst, cosine)
        print(f"{len(ids):5} tokens: cosine {cosine:.7f}", flush=True)
    print(f"{args.model}: least {worst:.7f}")
    sys.exit(0 if worst >= args.least else 1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""How near an encoder's vectors on the GPU are to the CPU's.

    tests/cuda/embeddings_beside_cpu.py MODEL.gguf [--least 0.9999]

One server on the GPU and one on the CPU embed the same paragraphs of this repository's documents, one request each and all in
one; prints the least and the mean cosine, and fails when one is below --least. LLAMABOX_BUILD has llama-box. Standard
library only.
"""

import argparse
import math
import pathlib
import re
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench" / "scenarios"))

from common import llama_box, post  # noqa: E402


def paragraphs(count):
    text = "\n\n".join((ROOT / name).read_text() for name in ("README.md", "docs/cache.md", "docs/decisions.md"))
    return [p.strip()[:1200] for p in text.split("\n\n") if len(p.strip()) > 40][:count]


def vectors(server, texts, together):
    requests = [texts] if together else [[text] for text in texts]
    replies = [post(server.url, "/v1/embeddings", {"input": texts})["data"] for texts in requests]
    return [item["embedding"] for reply in replies for item in reply]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--least", type=float, default=0.9999)
    parser.add_argument("--texts", type=int, default=64)
    args = parser.parse_args()
    texts = paragraphs(args.texts)
    with llama_box(args.model, "-ngl", "all") as gpu, llama_box(args.model, "--device", "none") as cpu:
        if re.search(r"model: .* on cpu ", gpu.log()):
            print(f"the first server is not on a GPU:\n{gpu.log()}")
            return 1
        wanted = vectors(cpu, texts, together=True)
        worst = 1.0
        for together in (False, True):
            found = [cosine(a, b) for a, b in zip(vectors(gpu, texts, together), wanted)]
            worst = min([worst, *found])
            print(f"{len(texts)} texts, {'in one request' if together else 'one by one'}: least cosine {min(found):.7f}, "
                  f"mean {statistics.mean(found):.7f}")
    return 0 if worst >= args.least else 1


if __name__ == "__main__":
    sys.exit(main())

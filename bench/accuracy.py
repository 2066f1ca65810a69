#!/usr/bin/env python3
"""How right our numbers are, beside llama.cpp's: KL divergence and top-1 agreement against the
numpy reference over the first tokens of a text, and perplexity over a longer piece of it.

    bench/accuracy.py --text wikitext-2-test.txt [--models A.gguf B.gguf] [--write docs/accuracy.md]

What is slow and does not change (reference and llama.cpp) is kept in LLAMABOX_MODELS/reference.
Needs: pip install numpy gguf xllamacpp; build/release/model_eval.
"""

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests/reference")]

CHUNK = 512  # tokens of a perplexity chunk; its second half is scored, as llama.cpp's tool does


def log_softmax(rows):
    rows = rows.astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))


def compare(reference, logits):
    """Per position, in pieces: the vocabulary is large."""
    kl, same = [], []
    for begin in range(0, len(reference), 32):
        p, q = (log_softmax(x[begin:begin + 32]) for x in (reference, logits))
        kl.append((np.exp(p) * (p - q)).sum(axis=1))
        same.append(p.argmax(axis=1) == q.argmax(axis=1))
    kl, same = np.concatenate(kl), np.concatenate(same)
    return {"kl_mean": kl.mean(), "kl_median": np.median(kl), "kl_p99": np.quantile(kl, 0.99),
            "kl_max": kl.max(), "kl_stderr": kl.std() / np.sqrt(len(kl)), "top1": same.mean()}


def negative_log_likelihoods(logits, ids):
    """Of one chunk's second half."""
    first = len(ids) // 2
    rows = log_softmax(logits[first:len(ids) - 1])
    return -rows[np.arange(len(rows)), ids[first + 1:]]


class Bench:
    def __init__(self, args):
        self.args = args
        self.cache = Path(os.environ.get("LLAMABOX_MODELS", ROOT / "models")) / "reference"
        self.cache.mkdir(parents=True, exist_ok=True)
        build = Path(os.environ.get("LLAMABOX_BUILD", ROOT / "build/release"))
        self.model_eval = next((p for p in build.rglob("model_eval") if p.is_file()), None)

    def kept(self, name, make):
        """An array that is made once. Named by all that it depends on."""
        path = self.cache / f"{name}.npy"
        if not path.exists():
            start = time.time()
            data = make()
            path.parent.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npy", delete=False) as file:
                np.save(file, data)
            os.replace(file.name, path)
            print(f"  {path.name}: {time.time() - start:.0f} s", file=sys.stderr)
        return np.load(path, mmap_mode="r")

    def llamacpp(self, model):
        import llamacpp_wheel
        return llamacpp_wheel.LlamaCpp(str(model), CHUNK, self.args.threads)

    def token_ids(self, model):
        """Whole chunks of the text, each beginning with BOS where the model wants one."""
        def make():
            peer = self.llamacpp(model)
            text = Path(self.args.text).read_text(encoding="utf-8")
            ids = np.array(peer.tokenize(text), np.int32)
            ids = ids[:self.args.tokens // CHUNK * CHUNK].reshape(-1, CHUNK)
            if peer.adds_bos:
                ids[:, 0] = peer.bos
            peer.close()
            return ids
        return self.kept(f"{model.stem}-ids-{self.args.tokens}", make)

    def reference(self, model, ids):
        def make():
            from reference_model import ReferenceModel
            return ReferenceModel(str(model)).logits(ids)
        return self.kept(f"{model.stem}-reference", make)

    def peer_logits(self, model, ids):
        import llamacpp_wheel

        def make():
            peer = self.llamacpp(model)
            logits = peer.logits(ids)
            peer.close()
            return logits
        return self.kept(f"{model.stem}-{llamacpp_wheel.version().replace(' ', '-')}", make)

    def peer_perplexity(self, model, chunks):
        """Chunk by chunk, so that a run that was cut off goes on where it was."""
        import llamacpp_wheel

        peer = None
        nll = []
        name = llamacpp_wheel.version().replace(" ", "-")
        for i, ids in enumerate(chunks):
            def make(ids=np.array(ids)):
                nonlocal peer
                peer = peer or self.llamacpp(model)
                return negative_log_likelihoods(peer.logits(ids), ids)
            nll.append(self.kept(f"nll/{model.stem}-{name}-{i}", make))
        if peer:
            peer.close()
        return float(np.exp(np.concatenate(nll).mean()))

    def run_ours(self, model, ids, *flags):
        with tempfile.NamedTemporaryFile("w", suffix=".ids") as file:
            file.write(" ".join(map(str, ids)))
            file.flush()
            command = [self.model_eval, "-m", model, "--ids", file.name,
                       *shlex.split(self.args.ours), *flags]
            if self.args.threads:
                command += ["--threads", str(self.args.threads)]
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
        return done.stdout

    def our_logits(self, model, ids):
        """model_eval leaves out a chunk's last position (it predicts nothing): give it one more."""
        with tempfile.TemporaryDirectory(dir=self.cache) as folder:
            dump = Path(folder) / "logits"
            self.run_ours(model, [*ids, 0], "--chunk", len(ids) + 1, "--from", 0, "--dump", dump)
            return read_dump(dump)

    def our_perplexity(self, model, chunks):
        out = self.run_ours(model, chunks.reshape(-1), "--chunk", CHUNK)
        return float(re.search(r"perplexity ([0-9.]+)", out).group(1))

    def measure(self, model):
        chunks = self.token_ids(model)
        ids = np.array(chunks[0])
        reference = self.reference(model, ids)
        row = {"model": model.name, "positions": len(ids),
               "scored": int(chunks.size // 2 - len(chunks))}
        row["llama.cpp"] = compare(reference, self.peer_logits(model, ids))
        if not self.args.no_perplexity:
            row["llama.cpp"]["perplexity"] = self.peer_perplexity(model, chunks)
        if not self.args.peer_only:
            if self.model_eval is None:
                raise RuntimeError("model_eval is not built; LLAMABOX_BUILD names the folder")
            row["llama-box"] = compare(reference, self.our_logits(model, ids))
            if not self.args.no_perplexity:
                row["llama-box"]["perplexity"] = self.our_perplexity(model, chunks)
        return row


def read_dump(path):
    """The format that model_eval --dump writes."""
    with open(path, "rb") as file:
        if file.read(8) != b"LBLOGIT1":
            raise RuntimeError(f"{path}: not a dump of logits")
        vocab, size = np.fromfile(file, "<i4", 2)
        return np.fromfile(file, "<f2" if size == 2 else "<f4").reshape(-1, vocab)


def table(rows):
    lines = ["| model | engine | mean KL to the reference | median | 99th percentile "
             "| top-1 agreement | perplexity |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        for engine in ("llama.cpp", "llama-box"):
            if engine not in row:
                continue
            m = row[engine]
            perplexity = f"{m['perplexity']:.4f}" if "perplexity" in m else "-"
            if engine == "llama-box" and "perplexity" in m:
                change = m["perplexity"] / row["llama.cpp"]["perplexity"] - 1
                perplexity += f" ({100 * change:+.3f} %)"
            lines.append(f"| {row['model']} | {engine} "
                         f"| {m['kl_mean']:.3e} ± {m['kl_stderr']:.0e} "
                         f"| {m['kl_median']:.2e} | {m['kl_p99']:.2e} | {100 * m['top1']:.2f} % "
                         f"| {perplexity} |")
    return "\n".join(lines)


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")),
                    platform.machine())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--text", required=True, help="text file")
    parser.add_argument("--models", nargs="+", type=Path,
                        help="GGUF files (default: all in models/)")
    parser.add_argument("--tokens", type=int, default=20000, help="tokens for the perplexity")
    parser.add_argument("--threads", type=int, help="threads of both engines (default: all cores)")
    parser.add_argument("--ours", default="", help='more flags for model_eval: "--kv f32"')
    parser.add_argument("--no-perplexity", action="store_true",
                        help="only the comparison with the reference")
    parser.add_argument("--peer-only", action="store_true", help="only reference and llama.cpp")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--write", type=Path, help="put the table between the markers of this file")
    args = parser.parse_args()
    bench = Bench(args)
    models = args.models or sorted(bench.cache.parent.glob("*.gguf"))
    rows = []
    for model in models:
        print(model.name, file=sys.stderr)
        rows.append(bench.measure(model))
        print(table(rows[-1:]), file=sys.stderr)
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1, default=float), encoding="utf-8")
    if args.write:
        import llamacpp_wheel
        note = f"{cpu_name()}; {llamacpp_wheel.version()}; numpy {np.__version__}."
        text = args.write.read_text(encoding="utf-8")
        text = re.sub(r"(<!-- table -->\n).*(<!-- end -->)",
                      lambda m: f"{m[1]}{table(rows)}\n\nMeasured on {note}\n{m[2]}", text,
                      flags=re.S)
        args.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

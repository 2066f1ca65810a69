"""Proves that the engine computes the models it says it does: its logits for random models of every
family against the numpy reference, through the same kernels, chunks and cache that serving uses.

    pytest tests/reference      (LLAMABOX_BUILD names the build folder, default build/release)
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "bench")]

from accuracy import compare, read_dump  # noqa: E402
from reference_model import ReferenceModel  # noqa: E402
from tiny_models import MODELS, Q, VOCAB, write  # noqa: E402

TOKENS = 150  # more than the tiny windows, not a multiple of a KV block


@pytest.fixture(scope="session")
def model_eval():
    build = Path(os.environ.get("LLAMABOX_BUILD", ROOT / "build/release"))
    for path in build.rglob("model_eval"):
        if path.is_file():
            return path
    pytest.skip(f"model_eval is not built in {build}")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tiny")


def run_engine(model_eval, model, ids, folder, *flags):
    """Logits of every position but the last."""
    ids_file, dump = folder / "ids", folder / "logits"
    ids_file.write_text(" ".join(map(str, ids)))
    done = subprocess.run([model_eval, "-m", model, "--ids", ids_file, "--chunk", str(len(ids)),
                           "--from", "0", "--dump", dump, *flags],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return read_dump(dump)


@pytest.mark.parametrize("flags", [["--kv", "f32"], ["--kv", "f32", "--ref"],
                                   ["--kv", "f32", "--batch", "7"]],
                         ids=["cpu", "ref", "small-batches"])
@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_tiny(spec, flags, model_eval, folder):
    path = folder / f"{spec.name}.gguf"
    if not path.exists():
        write(spec, path)
    ids = np.random.default_rng(spec.seed + 1000).integers(3, VOCAB, TOKENS)
    want = ReferenceModel(str(path)).logits(ids)[:-1]
    got = run_engine(model_eval, path, ids, folder, *flags)
    assert got.shape == want.shape
    spread = want.std()
    assert spread > 0.3, "the model says nothing"
    error = np.sqrt(np.mean((got - want) ** 2)) / spread
    # Float weights are multiplied in f32. Quantised ones meet activations of 8 bits, whose rounding
    # (1 in 254 of a block's greatest value) adds up over the layers.
    limit = 2e-5 if spec.type in (Q.F32, Q.F16, Q.BF16) else 1.5e-2 * spec.layers
    assert error < limit, f"relative error {error:.2e}"
    numbers = compare(want, got)
    assert numbers["top1"] > (0.99 if limit < 1e-3 else 0.9), numbers


def test_reference_can_tell_models_apart(folder):
    """The limits above would not let a wrong rotation, window or cap pass."""
    ids = np.random.default_rng(5).integers(3, VOCAB, TOKENS)
    for spec in MODELS:
        if spec.name not in ("llama-yarn", "llama3-factors", "gemma3", "gemma3-linear-cap",
                             "llama-partial-rope", "qwen3"):
            continue
        path = folder / f"{spec.name}.gguf"
        if not path.exists():
            write(spec, path)
        model = ReferenceModel(str(path))
        want = model.logits(ids)
        changes = {"scale": model.scale * 1.01}
        if model.window:
            changes["window"] = model.window + 1
        if model.final_cap:
            changes["final_cap"] = model.final_cap * 1.01
        for name, value in changes.items():
            old = getattr(model, name)
            setattr(model, name, value)
            error = np.sqrt(np.mean((model.logits(ids) - want) ** 2)) / want.std()
            setattr(model, name, old)
            assert error > 1e-4, f"{spec.name}: {name} does not show"
        frequency = model.rope.frequency
        model.rope.frequency = frequency * 1.01
        assert np.sqrt(np.mean((model.logits(ids) - want) ** 2)) / want.std() > 1e-4
        model.rope.frequency = frequency


def models_folder():
    return Path(os.environ.get("LLAMABOX_MODELS", ROOT / "models"))


@pytest.mark.parametrize("name", ["SmolLM2-135M-Instruct.Q4_1", "gemma-3-270m-q4_k_m"])
def test_real_model_is_as_right_as_llama_cpp(name, model_eval, folder):
    llamacpp_wheel = pytest.importorskip("llamacpp_wheel")
    pytest.importorskip("xllamacpp")
    path = models_folder() / f"{name}.gguf"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    peer = llamacpp_wheel.LlamaCpp(str(path), threads=1)
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    ids = peer.tokenize(text)[:257]
    theirs = peer.logits(ids)[:-1]
    peer.close()
    reference = ReferenceModel(str(path)).logits(ids)[:-1]
    them = compare(reference, theirs)
    us = compare(reference, run_engine(model_eval, path, ids, folder))
    # Both are a sample of the same rounding; 256 positions leave some noise between them.
    assert us["kl_mean"] < 1.1 * them["kl_mean"], (us, them)
    assert us["top1"] > them["top1"] - 0.02, (us, them)

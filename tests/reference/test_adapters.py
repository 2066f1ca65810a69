"""Proves that an adapter computes what it says: logits with it are those of the numpy reference with the
adapter merged into the weights, W + scale * alpha / rank * B A, for every family and matrix.
"""

import gguf
import numpy as np
import pytest
from reference_model import F32, ReferenceModel
from test_logits import TOKENS, folder, model_eval, run_engine  # noqa: F401  (fixtures)
from tiny_models import MODELS, VOCAB, write

NAMES = ("llama", "llama-tied", "llama-bias", "llama-wide-heads", "qwen2", "qwen3", "gemma3",
         "gemma3-linear-cap")


def write_adapter(path, model, rank, alpha, seed, kind=np.float32):
    """An adapter of every matrix of `model`, and what it adds to each at scale 1."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(path), model.weights.arch)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    if alpha:
        writer.add_float32("adapter.lora.alpha", alpha)
    deltas = {}
    tied = not model.weights.has("output.weight")
    for name, tensor in model.weights.tensors.items():
        if len(tensor.shape) != 2 or (tied and name == "token_embd.weight"):
            continue
        rows, cols = tensor.data.shape
        embeds = name == "token_embd.weight"
        a = rng.normal(0, cols**-0.5, (rows, rank) if embeds else (rank, cols)).astype(kind)
        b = rng.normal(0, 0.15, (cols, rank) if embeds else (rows, rank)).astype(kind)
        writer.add_tensor(name + ".lora_a", a)
        writer.add_tensor(name + ".lora_b", b)
        delta = a.astype(F32) @ b.astype(F32).T if embeds else b.astype(F32) @ a.astype(F32)
        deltas[name] = delta * (alpha / rank if alpha else 1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return deltas


def merge(model, *added):
    """`added`: pairs of deltas and scale."""
    plain = model.weights.rows

    def rows(name, rows=slice(None)):
        weight = plain(name, rows)
        for deltas, scale in added:
            if name in deltas:
                weight = weight + F32(scale) * deltas[name][rows]
        return weight.astype(F32)

    model.weights.rows = rows
    return model


def error_of(want, got):
    return np.sqrt(np.mean((got - want) ** 2)) / want.std()


@pytest.mark.parametrize("spec,flags", [
    *(pytest.param(m, [], id=m.name) for m in MODELS if m.name in NAMES),
    *(pytest.param(m, ["--ref", "--batch", "7"], id=m.name + "-ref") for m in MODELS
      if m.name in ("llama", "gemma3"))])
def test_an_adapter_is_its_merged_weights(spec, flags, model_eval, folder):  # noqa: F811
    path = folder / f"{spec.name}.gguf"
    if not path.exists():
        write(spec, path)
    ids = np.random.default_rng(spec.seed + 2000).integers(3, VOCAB, TOKENS)
    one, two = folder / f"{spec.name}-one.lora", folder / f"{spec.name}-two.lora"
    first = write_adapter(one, ReferenceModel(str(path)), 6, 12.0, 1)
    second = write_adapter(two, ReferenceModel(str(path)), 16, 0, 2, np.float16)
    plain = ReferenceModel(str(path)).logits(ids)[:-1]
    for added in ([(first, 1.0)], [(second, -0.5)], [(first, 0.25), (second, 1.5)]):
        scales = {id(first): 0.0, id(second): 0.0} | {id(deltas): scale for deltas, scale in added}
        lora = []
        for file, deltas in ((one, first), (two, second)):
            if scales[id(deltas)]:
                lora += ["--lora", file, str(scales[id(deltas)])]
        want = merge(ReferenceModel(str(path)), *added).logits(ids)[:-1]
        got = run_engine(model_eval, path, ids, folder, "--kv", "f32", *flags, *lora)
        assert error_of(want, got) < 2e-5
        assert error_of(want, plain) > 1e-2, "the adapter does not show"

"""Proves that every format decodes, and where we write it encodes, to the same bits as the `gguf`
package: random blocks with every kind of scale (infinite and NaN ones too), weights of many sizes,
and real tensors of the models in the models folder.

Uses the program quant_tests of the build folder in LLAMABOX_BUILD (default build/release).
"""
import os
import pathlib
import subprocess

import gguf
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LLAMABOX_BUILD", ROOT / "build" / "release"))
MODELS = pathlib.Path(os.environ.get("LLAMABOX_MODELS", ROOT / "models"))

DECODED = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K",
           "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"]
ENCODED = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]
NUM_BLOCKS = 4096


def qtype(name):
    return gguf.GGMLQuantizationType[name]


def random_blocks(name, rng):
    """Random bytes: fp16 scales take every pattern, 1 in 32 of them infinite or NaN."""
    block_bytes = gguf.GGML_QUANT_SIZES[qtype(name)][1]
    blocks = rng.integers(0, 256, (NUM_BLOCKS, block_bytes), dtype=np.uint8)
    blocks[0] = 0
    blocks[1] = 255
    if name in real_blocks():
        real = real_blocks()[name]
        blocks = np.concatenate([blocks, real])
    return blocks


_real = None


def real_blocks():
    """Up to 65,536 blocks of each format out of two models that hold five formats, if present."""
    global _real
    if _real is None:
        _real = {}
        paths = [*MODELS.glob("SmolLM2-135M*.gguf"), *MODELS.glob("Qwen2.5-Coder-0.5B*.gguf")]
        for path in sorted(paths):
            for tensor in gguf.GGUFReader(path).tensors:
                name = tensor.tensor_type.name
                block_bytes = gguf.GGML_QUANT_SIZES[tensor.tensor_type][1]
                data = tensor.data.reshape(-1).view(np.uint8).reshape(-1, block_bytes)
                have = _real.get(name)
                if have is None:
                    _real[name] = data[:16384]
                elif have.shape[0] < 16384 * 4:
                    _real[name] = np.concatenate([have, data[:16384]])
    return _real


def random_values(rng):
    """Blocks of weights whose sizes run over the whole of f32, ties, zeros, and odd values."""
    values = rng.standard_normal((NUM_BLOCKS, 256)).astype(np.float32)
    values *= np.exp2(rng.integers(-30, 17, (NUM_BLOCKS, 1))).astype(np.float32)
    values[64:128] *= np.float32(2.0) ** rng.integers(-110, 105, (64, 1)).astype(np.float32)
    # Whole numbers: many exact ties in the rounding.
    values[128:512] = rng.integers(-127, 128, (384, 256)).astype(np.float32)
    values[512:1024] = rng.integers(-16, 17, (512, 256)).astype(np.float32) * np.float32(0.5)
    # Equal extremes of both signs: which one gives the scale.
    values[1024:1056] = np.where(rng.integers(0, 2, (32, 256)) == 0, np.float32(-3), np.float32(3))
    values[1056:1088, :] = 0
    values[1088:1120, ::2] = 0
    values[1120:1152] = np.float32(1.25)
    return values


def odd_values(rng):
    """A few infinities, NaNs and subnormals among the rest."""
    values = random_values(rng)[:64].copy()
    odd = np.array([np.inf, -np.inf, np.nan, 1e-45, -1e-40, 3e38, -3e38], np.float32)
    for row in range(values.shape[0]):
        values[row, rng.integers(0, 256, 3)] = rng.choice(odd, 3)
    values[0] = np.float32(1e-45)
    values[1] = np.float32(-3e38)
    return values


def convert(folder, blocks, values):
    """Runs our converters over `blocks` (name to bytes) and `values`."""
    for name in DECODED:
        blocks[name].tofile(folder / f"{name}.blocks")
    for name in ENCODED:
        values.tofile(folder / f"{name}.values")
    run = subprocess.run([BUILD / "quant_tests", "--gtest_filter=Golden.*"], capture_output=True,
                         text=True, env=dict(os.environ, LLAMABOX_QUANT_GOLDEN=str(folder)))
    assert run.returncode == 0 and "PASSED  ] 1 test" in run.stdout, run.stdout + run.stderr


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    rng = np.random.default_rng(2026)
    folder = tmp_path_factory.mktemp("quant")
    blocks = {name: random_blocks(name, rng) for name in DECODED}
    values = random_values(rng)
    convert(folder, blocks, values)
    odd_folder = tmp_path_factory.mktemp("odd")
    odd = odd_values(rng)
    convert(odd_folder, blocks, odd)
    return folder, blocks, values, odd_folder, odd


def assert_same_floats(ours, theirs):
    ours, theirs = ours.reshape(-1), theirs.reshape(-1)
    assert ours.shape == theirs.shape
    # A NaN's payload depends on the order of the operands, which no one promises.
    both_nan = np.isnan(ours) & np.isnan(theirs)
    different = (ours.view(np.uint32) != theirs.view(np.uint32)) & ~both_nan
    where = np.flatnonzero(different)
    assert where.size == 0, f"{where.size} differ; {where[0]}: {ours[where[0]]} {theirs[where[0]]}"


@pytest.mark.parametrize("name", DECODED)
def test_decode(golden, name):
    folder, blocks, _, _, _ = golden
    ours = np.fromfile(folder / f"{name}.decoded", np.float32)
    with np.errstate(all="ignore"):
        theirs = gguf.quants.dequantize(blocks[name], qtype(name))
    assert_same_floats(ours, theirs)


@pytest.mark.parametrize("name", ENCODED)
def test_encode(golden, name):
    folder, _, values, _, _ = golden
    ours = np.fromfile(folder / f"{name}.encoded", np.uint8)
    with np.errstate(all="ignore"):
        theirs = gguf.quants.quantize(values, qtype(name)).view(np.uint8).reshape(-1)
    assert ours.shape == theirs.shape
    where = np.flatnonzero(ours != theirs)
    assert where.size == 0, f"{where.size} of {ours.size} bytes differ, first at {where[:5]}"


@pytest.mark.parametrize("name", ENCODED)
def test_encode_odd_values(golden, name):
    """Compared after decoding, where one NaN is as good as another."""
    _, _, _, folder, values = golden
    ours = np.fromfile(folder / f"{name}.encoded", np.uint8)
    with np.errstate(all="ignore"):
        theirs = gguf.quants.quantize(values, qtype(name)).view(np.uint8)
        ours = ours.reshape(theirs.shape)
        assert_same_floats(gguf.quants.dequantize(ours, qtype(name)),
                           gguf.quants.dequantize(theirs, qtype(name)))


def test_names_every_type():
    """The numbers ggml gave out, as the package knows them, are those of our table."""
    source = (ROOT / "src" / "quant" / "dtype.cc").read_text()
    listed = source.split("kGgmlNames[] = {")[1].split("};")[0]
    names = [part.strip().strip('"') for part in listed.split(",") if part.strip()]
    for known in gguf.GGMLQuantizationType:
        assert names[known.value] == known.name

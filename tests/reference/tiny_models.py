"""Random models of a few thousand weights, one for each family and each thing that can differ.

    python tests/reference/tiny_models.py FOLDER
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np

VOCAB_WORDS = 61
VOCAB = 3 + 256 + VOCAB_WORDS  # unknown, begin, end, the bytes, words

Q = gguf.GGMLQuantizationType


@dataclass
class Tiny:
    name: str
    arch: str
    layers: int = 2
    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    ffn: int = 96
    base: float = 10000.0
    type: Q = Q.F32
    keys: dict = field(default_factory=dict)  # below <arch>.
    rope_factors: tuple = ()
    tied: bool = False
    bias: bool = False
    seed: int = 1


_YARN = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
         "rope.scaling.original_context_length": 64}
_GEMMA = {"attention.sliding_window": 24, "attention.key_length": 32, "attention.value_length": 32}

MODELS = [
    Tiny("llama", "llama"),
    Tiny("llama-tied", "llama", tied=True, kv_heads=1, base=5e5, seed=2),
    Tiny("llama-bias", "llama", bias=True, kv_heads=4, seed=3),
    Tiny("llama-partial-rope", "llama", keys={"rope.dimension_count": 8}, seed=4),
    Tiny("llama-linear", "llama", seed=5,
         keys={"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
    Tiny("llama-old-linear", "llama", keys={"rope.scale_linear": 2.5}, seed=6),
    Tiny("llama-yarn", "llama", keys=_YARN, head_dim=32, heads=2, kv_heads=1, seed=7),
    Tiny("llama-yarn-betas", "llama", head_dim=32, heads=2, kv_heads=1, seed=8,
         keys=_YARN | {"rope.scaling.attn_factor": 0.8, "rope.scaling.yarn_beta_fast": 16.0,
                       "rope.scaling.yarn_beta_slow": 2.0}),
    Tiny("llama3-factors", "llama", base=5e5, seed=9,
         rope_factors=(1.0, 1.0, 1.3, 2.0, 4.5, 8.0, 8.0, 8.0)),
    Tiny("llama-wide-heads", "llama", head_dim=64, heads=2, kv_heads=1, seed=10,
         keys={"attention.key_length": 64, "attention.value_length": 64}),
    Tiny("qwen2", "qwen2", bias=True, base=1e6, seed=11),
    Tiny("qwen2-yarn", "qwen2", bias=True, keys=_YARN, head_dim=32, heads=2, kv_heads=1, seed=12),
    Tiny("qwen3", "qwen3", base=1e6, head_dim=32, seed=13,
         keys={"attention.key_length": 32, "attention.value_length": 32}),
    Tiny("gemma3", "gemma3", layers=7, head_dim=32, kv_heads=1, tied=True, base=1e6, seed=14,
         keys=_GEMMA),
    Tiny("gemma3-linear-cap", "gemma3", layers=6, head_dim=32, tied=True, base=1e6, seed=15,
         keys=_GEMMA | {"rope.scaling.type": "linear", "rope.scaling.factor": 8.0,
                        "final_logit_softcapping": 2.0}),
    Tiny("gemma3-no-window", "gemma3", layers=3, head_dim=32, tied=True, base=1e6, seed=16,
         keys={"attention.key_length": 32, "attention.value_length": 32}),
    Tiny("llama-f16", "llama", type=Q.F16, seed=17),
    Tiny("llama-bf16", "llama", type=Q.BF16, seed=18),
    Tiny("llama-q8_0", "llama", type=Q.Q8_0, seed=19),
    Tiny("qwen2-q4_0", "qwen2", type=Q.Q4_0, bias=True, seed=20),
    Tiny("qwen2-q4_1", "qwen2", type=Q.Q4_1, bias=True, seed=21),
    Tiny("qwen3-q5_0", "qwen3", type=Q.Q5_0, head_dim=32, seed=22,
         keys={"attention.key_length": 32, "attention.value_length": 32}),
    Tiny("gemma3-q5_1", "gemma3", type=Q.Q5_1, layers=6, head_dim=32, tied=True, seed=23,
         keys=_GEMMA),
]


def add_tokenizer(writer):
    """SentencePiece with byte fallback and a few words."""
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    tokens += ["\u2581"] + [chr(97 + i) for i in range(26)]
    tokens += ["\u2581" + chr(97 + i) for i in range(26)]
    tokens += ["th", "he", "in", "er", "an", "re", "\u2581th", "\u2581the"]
    assert len(tokens) == VOCAB
    kind = gguf.TokenType
    types = [kind.UNKNOWN, kind.CONTROL, kind.CONTROL] + [kind.BYTE] * 256
    types += [kind.NORMAL] * VOCAB_WORDS
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-float(i) for i in range(VOCAB_WORDS)])
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def add_key(writer, name, value):
    if isinstance(value, str):
        writer.add_string(name, value)
    elif isinstance(value, float):
        writer.add_float32(name, value)
    else:
        writer.add_uint32(name, value)


def write(spec, path):
    rng = np.random.default_rng(spec.seed)
    writer = gguf.GGUFWriter(str(path), spec.arch)
    writer.add_name(f"tiny {spec.name}")
    keys = {"block_count": spec.layers, "context_length": 512, "embedding_length": spec.width,
            "feed_forward_length": spec.ffn, "attention.head_count": spec.heads,
            "attention.head_count_kv": spec.kv_heads, "rope.freq_base": spec.base,
            "attention.layer_norm_rms_epsilon": 1e-5, "rope.dimension_count": spec.head_dim}
    if "attention.key_length" not in spec.keys and spec.heads * spec.head_dim != spec.width:
        raise ValueError(f"{spec.name}: heads do not fill the width; state attention.key_length")
    for name, value in (keys | spec.keys).items():
        add_key(writer, f"{spec.arch}.{name}", value)
    add_tokenizer(writer)

    def matrix(name, rows, cols, gain=1.0):
        data = rng.normal(0, gain / np.sqrt(cols), (rows, cols)).astype(np.float32)
        if spec.type == Q.F32:
            writer.add_tensor(name, data)
        elif spec.type == Q.F16:
            writer.add_tensor(name, data.astype(np.float16))
        else:
            writer.add_tensor(name, gguf.quantize(data, spec.type), raw_dtype=spec.type)

    def vector(name, size, mean, spread):
        writer.add_tensor(name, rng.normal(mean, spread, size).astype(np.float32))

    # Embeddings of unit size: a trained model's hidden state is not near zero either.
    matrix("token_embd.weight", VOCAB, spec.width, gain=1.0 if spec.tied else np.sqrt(spec.width))
    if not spec.tied:
        matrix("output.weight", VOCAB, spec.width, gain=2.0)
    vector("output_norm.weight", spec.width, 1.5, 0.3)
    if spec.rope_factors:
        writer.add_tensor("rope_freqs.weight", np.array(spec.rope_factors, np.float32))
    q_rows, kv_rows = spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim
    for layer in range(spec.layers):
        block = f"blk.{layer}"
        vector(f"{block}.attn_norm.weight", spec.width, 1, 0.2)
        vector(f"{block}.ffn_norm.weight", spec.width, 1, 0.2)
        for part, rows in (("q", q_rows), ("k", kv_rows), ("v", kv_rows)):
            # Sharp enough attention that positions matter.
            gain = 1.0 if part == "v" else 2.0
            matrix(f"{block}.attn_{part}.weight", rows, spec.width, gain=gain)
            if spec.bias:
                vector(f"{block}.attn_{part}.bias", rows, 0, 0.5)
        if spec.arch in ("qwen3", "gemma3"):
            vector(f"{block}.attn_q_norm.weight", spec.head_dim, 1.5, 0.2)
            vector(f"{block}.attn_k_norm.weight", spec.head_dim, 1.5, 0.2)
        matrix(f"{block}.attn_output.weight", spec.width, q_rows)
        if spec.arch == "gemma3":
            vector(f"{block}.post_attention_norm.weight", spec.width, 1, 0.2)
            vector(f"{block}.post_ffw_norm.weight", spec.width, 1, 0.2)
        matrix(f"{block}.ffn_gate.weight", spec.ffn, spec.width)
        matrix(f"{block}.ffn_up.weight", spec.ffn, spec.width)
        matrix(f"{block}.ffn_down.weight", spec.width, spec.ffn)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for spec in MODELS:
        write(spec, args.folder / f"{spec.name}.gguf")
        print(args.folder / f"{spec.name}.gguf")


if __name__ == "__main__":
    main()

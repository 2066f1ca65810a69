"""Random encoders of a few thousand weights, and a model with a score head out of one without."""

import gguf
import numpy as np

from tiny_models import VOCAB, add_key, add_tokenizer

TINY_CONTEXT = 96


class _Writer:
    def __init__(self, path, arch, seed, keys, quantised=False):
        self.quantised = quantised
        self.rng = np.random.default_rng(seed)
        self.writer = gguf.GGUFWriter(str(path), arch)
        self.writer.add_name(f"tiny {arch}")
        for name, value in keys.items():
            add_key(self.writer, f"{arch}.{name}", value)
        add_tokenizer(self.writer)

    def matrix(self, name, rows, cols, gain=1.0):
        data = self.rng.normal(0, gain / np.sqrt(cols), (rows, cols)).astype(np.float32)
        if self.quantised:
            kind = gguf.GGMLQuantizationType.Q8_0
            self.writer.add_tensor(name, gguf.quantize(data, kind), raw_dtype=kind)
        else:
            self.writer.add_tensor(name, data)

    def vector(self, name, size, mean=0.0, spread=0.3):
        data = self.rng.normal(mean, spread, size).astype(np.float32)
        if self.quantised and name.endswith((".attn_norm.weight", ".ffn_norm.weight")):
            data[1] = 20 * mean  # what it scales is an outlier among the activations
        self.writer.add_tensor(name, data)

    def norm(self, name, size):
        self.vector(f"{name}.weight", size, 1.0)
        self.vector(f"{name}.bias", size)

    def close(self):
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def write_bert(path, arch="bert", pooling=1, scores=False, seed=31):
    """bert, or nomic-bert; `scores`: with a head for reranking."""
    width, heads, ffn, layers = 64, 4, 96, 3
    w = _Writer(path, arch, seed, {
        "block_count": layers, "context_length": TINY_CONTEXT, "embedding_length": width,
        "feed_forward_length": ffn, "attention.head_count": heads,
        "attention.layer_norm_epsilon": 1e-12, "pooling_type": 4 if scores else pooling,
        "rope.freq_base": 1000.0})
    w.matrix("token_embd.weight", VOCAB, width, 8.0)
    w.matrix("token_types.weight", 2, width, 8.0)
    w.norm("token_embd_norm", width)
    bert = arch == "bert"
    if bert:
        w.matrix("position_embd.weight", TINY_CONTEXT, width, 8.0)
    for layer in range(layers):
        block = f"blk.{layer}"
        if bert:
            for part in "qkv":
                w.matrix(f"{block}.attn_{part}.weight", width, width, 2.0)
                w.vector(f"{block}.attn_{part}.bias", width)
        else:
            w.matrix(f"{block}.attn_qkv.weight", 3 * width, width, 2.0)
            w.matrix(f"{block}.ffn_gate.weight", ffn, width)
        for name, rows, cols in (("attn_output", width, width), ("ffn_up", ffn, width),
                                 ("ffn_down", width, ffn)):
            w.matrix(f"{block}.{name}.weight", rows, cols)
            if bert:
                w.vector(f"{block}.{name}.bias", rows)
        w.norm(f"{block}.attn_output_norm", width)
        w.norm(f"{block}.layer_output_norm", width)
    if scores:
        w.writer.add_add_eos_token(True)
        w.writer.add_add_sep_token(True)
        w.writer.add_sep_token_id(2)
        _add_scores(w.writer, w.rng, width)
    w.close()


def write_gemma(path, seed=32, dense=48, quantised=False):
    """gemma-embedding with a window smaller than its context, and dense layers behind the mean.
    `quantised`: with matrices of Q8_0, and norms that make outliers."""
    width, heads, kv_heads, dim, ffn, layers = 64, 4, 1, 32, 96, 7
    w = _Writer(path, "gemma-embedding", seed, {
        "block_count": layers, "context_length": TINY_CONTEXT, "embedding_length": width,
        "feed_forward_length": ffn, "attention.head_count": heads,
        "attention.head_count_kv": kv_heads, "attention.key_length": dim,
        "attention.value_length": dim, "attention.sliding_window": 24, "rope.freq_base": 1e6,
        "attention.layer_norm_rms_epsilon": 1e-6, "pooling_type": 1}, quantised)
    w.matrix("token_embd.weight", VOCAB, width)
    w.vector("output_norm.weight", width, 1.5)
    for layer in range(layers):
        block = f"blk.{layer}"
        for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            w.vector(f"{block}.{name}.weight", width, 1.0)
        for part, rows in (("q", heads * dim), ("k", kv_heads * dim), ("v", kv_heads * dim)):
            w.matrix(f"{block}.attn_{part}.weight", rows, width)
        w.vector(f"{block}.attn_q_norm.weight", dim, 1.5)
        w.vector(f"{block}.attn_k_norm.weight", dim, 1.5)
        w.matrix(f"{block}.attn_output.weight", width, heads * dim)
        w.matrix(f"{block}.ffn_gate.weight", ffn, width)
        w.matrix(f"{block}.ffn_up.weight", ffn, width)
        w.matrix(f"{block}.ffn_down.weight", width, ffn)
    w.matrix("dense_2.weight", 128, width)
    w.matrix("dense_3.weight", dense, 128)
    w.close()


def _add_scores(writer, rng, width):
    for name, rows in (("cls", width), ("cls.output", 1)):
        data = rng.normal(0, 1.5 / np.sqrt(width), (rows, width)).astype(np.float32)
        writer.add_tensor(f"{name}.weight", data)
        writer.add_tensor(f"{name}.bias", rng.normal(0, 0.1, rows).astype(np.float32))


def add_score_head(source, target, seed=33):
    """The encoder in `source` with a random head: its scores mean nothing, but are all different."""
    reader = gguf.GGUFReader(source)
    arch = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(str(target), arch)
    for key, value in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", f"{arch}.pooling_type"):
            continue
        sub_type = value.types[-1] if value.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, value.contents(), value.types[0], sub_type=sub_type)
    writer.add_pooling_type(gguf.PoolingType.RANK)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    _add_scores(writer, np.random.default_rng(seed),
                reader.fields[f"{arch}.embedding_length"].contents())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

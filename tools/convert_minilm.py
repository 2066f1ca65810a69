#!/usr/bin/env python3
"""Makes GGUF files of a BERT sentence encoder as its authors publish it (all-MiniLM-L6-v2).

Usage: convert_minilm.py FOLDER OUT.gguf f32|f16|q8_0
FOLDER has config.json, vocab.txt and model.safetensors. Needs the packages gguf and numpy.
"""
import json
import pathlib
import re
import struct
import sys

import gguf
import numpy as np

# Their names (without "encoder.layer.N.") -> GGUF's (without "blk.N.").
OUTSIDE = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}
IN_LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
TYPES = {"F32": np.float32, "F16": np.float16}


def read_safetensors(path):
    """(name, f32 array) of each tensor. The format: the length of a JSON header as 8 bytes, the
    header with type, shape and byte range of each tensor, then the bytes."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    for name, facts in header.items():
        if facts["dtype"] not in TYPES:
            continue  # ids of positions, 0 1 2 ...
        begin, end = (8 + length + offset for offset in facts["data_offsets"])
        array = np.frombuffer(data[begin:end], TYPES[facts["dtype"]]).reshape(facts["shape"])
        yield name, array.astype(np.float32)


def gguf_name(name):
    """None for what an encoder does not need."""
    stem, _, part = name.rpartition(".")
    inside = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", stem)
    if inside:
        return f"blk.{inside[1]}.{IN_LAYER[inside[2]]}.{part}"
    return f"{OUTSIDE[stem]}.{part}" if stem in OUTSIDE else None


def vocabulary(path):
    """Texts as GGUF has them: a mark before what begins a word, none before what goes on."""
    texts, types = [], []
    for token in path.read_text(encoding="utf-8").split("\n"):
        if not token:
            continue
        control = token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") or token.startswith("[unused")
        types.append(gguf.TokenType.CONTROL if control else gguf.TokenType.NORMAL)
        if not control:
            token = token[2:] if token.startswith("##") else "\u2581" + token
        texts.append(token)
    return texts, types


def convert(folder, out, kind):
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(str(out), "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type({"f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16,
                          "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}[kind])
    texts, types = vocabulary(folder / "vocab.txt")
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("bert-bge")
    writer.add_token_list(texts)
    writer.add_token_types(types)
    writer.add_token_type_count(config["type_vocab_size"])
    for name, token in (("bos", "[CLS]"), ("cls", "[CLS]"), ("eos", "[SEP]"), ("seperator", "[SEP]"),
                        ("padding", "[PAD]"), ("unknown", "[UNK]"), ("mask", "[MASK]")):
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", texts.index(token))
    # [CLS] text [SEP], and of a pair [CLS] one [SEP] other [SEP].
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_add_sep_token(False)
    for name, array in read_safetensors(folder / "model.safetensors"):
        target = gguf_name(name)
        if target is None:
            continue
        small = array.ndim < 2 or target in ("position_embd.weight", "token_types.weight")
        if kind == "f32" or small:
            writer.add_tensor(target, array)
        elif kind == "f16":
            writer.add_tensor(target, array.astype(np.float16))
        else:
            writer.add_tensor(target, gguf.quantize(array, gguf.GGMLQuantizationType.Q8_0),
                              raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    convert(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])

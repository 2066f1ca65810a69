"""What a text's vector should be: BERT, nomic-bert and EmbeddingGemma in numpy, written from the
papers and the GGUF key names, sharing no code with the engine."""

import math

import numpy as np

from reference_model import F32, Rope, Weights, gelu_tanh, rms_norm, silu

_ERF = np.frompyfunc(math.erf, 1, 1)
POOLING = {0: "none", 1: "mean", 2: "cls", 3: "last", 4: "rank"}


def gelu(x):
    x64 = x.astype(np.float64)
    return (0.5 * x64 * (1 + _ERF(x64 / math.sqrt(2)).astype(np.float64))).astype(F32)


def layer_norm(x, weight, bias, eps):
    x64 = x.astype(np.float64)
    x64 = x64 - x64.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((x64 * x64).mean(axis=-1, keepdims=True) + eps)
    return (x64 / deviation * weight + bias).astype(F32)


def attend_both_ways(q, k, v, scale, reach):
    """q [T, heads, d], k and v [T, kv heads, d]; a token sees those at most `reach` away, or all."""
    tokens, heads, _ = q.shape
    group = heads // k.shape[1]
    position = np.arange(tokens)
    hidden = np.abs(position[:, None] - position[None, :]) > (reach if reach else tokens)
    out = np.empty((tokens, heads, v.shape[2]), F32)
    for h in range(heads):
        scores = (q[:, h].astype(np.float64) @ k[:, h // group].astype(np.float64).T) * scale
        scores[hidden] = -np.inf
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        out[:, h] = weights / weights.sum(axis=1, keepdims=True) @ v[:, h // group]
    return out.reshape(tokens, -1)


class ReferenceEncoder:
    """The architecture is the file's."""

    def __init__(self, path):
        w = self.weights = Weights(path)
        self.matrices = {}
        self.layers = w.arch_key("block_count")
        self.width = w.arch_key("embedding_length")
        self.heads = w.arch_key("attention.head_count")
        self.kv_heads = w.arch_key("attention.head_count_kv", self.heads)
        self.dim = w.arch_key("attention.key_length", self.width // self.heads)
        self.pooling = POOLING[w.arch_key("pooling_type", 1)]
        self.window = w.arch_key("attention.sliding_window", 0)
        base = w.arch_key("rope.freq_base", 10000.0)
        self.rope = Rope(self.dim, base, False)
        self.local_rope = Rope(self.dim, 10000.0, False)

    def matrix(self, name):
        if name not in self.matrices:
            self.matrices[name] = self.weights.rows(f"{name}.weight")
        return self.matrices[name]

    def linear(self, x, name):
        y = x @ self.matrix(name).T
        if self.weights.has(f"{name}.bias"):
            y = y + self.weights.vector(f"{name}.bias")
        return y

    def norm(self, x, name):
        w = self.weights
        if w.has(f"{name}.bias"):
            return layer_norm(x, w.vector(f"{name}.weight"), w.vector(f"{name}.bias"),
                              w.arch_key("attention.layer_norm_epsilon"))
        return rms_norm(x, w.vector(f"{name}.weight"),
                        w.arch_key("attention.layer_norm_rms_epsilon"))

    def query_key_value(self, x, block):
        sizes = [self.heads * self.dim, self.kv_heads * self.dim, self.kv_heads * self.dim]
        if self.weights.has(f"{block}.attn_qkv.weight"):
            parts = np.split(self.linear(x, f"{block}.attn_qkv"), np.cumsum(sizes)[:-1], axis=1)
        else:
            parts = [self.linear(x, f"{block}.attn_{part}") for part in "qkv"]
        return [part.reshape(len(x), -1, self.dim) for part in parts]

    def bert(self, ids):
        w = self.weights
        rotates = w.arch == "nomic-bert"
        x = w.rows("token_embd.weight", np.asarray(ids))
        if w.has("token_types.weight"):
            x = x + w.rows("token_types.weight")[0]
        if not rotates:
            x = x + w.rows("position_embd.weight")[:len(ids)]
        x = self.norm(x.astype(F32), "token_embd_norm")
        for layer in range(self.layers):
            block = f"blk.{layer}"
            q, k, v = self.query_key_value(x, block)
            if rotates:
                q, k = self.rope(q), self.rope(k)
            heads = attend_both_ways(q, k, v, 1 / math.sqrt(self.dim), 0)
            x = self.norm(x + self.linear(heads, f"{block}.attn_output"), f"{block}.attn_output_norm")
            h = self.linear(x, f"{block}.ffn_up")
            h = silu(self.linear(x, f"{block}.ffn_gate")) * h if rotates else gelu(h)
            x = self.norm(x + self.linear(h, f"{block}.ffn_down"), f"{block}.layer_output_norm")
        return x

    def gemma(self, ids):
        x = self.weights.rows("token_embd.weight", np.asarray(ids)) * F32(math.sqrt(self.width))
        for layer in range(self.layers):
            block = f"blk.{layer}"
            local = self.window and (layer + 1) % 6 != 0
            rope = self.local_rope if local else self.rope
            q, k, v = self.query_key_value(self.norm(x, f"{block}.attn_norm"), block)
            q, k = self.norm(q, f"{block}.attn_q_norm"), self.norm(k, f"{block}.attn_k_norm")
            heads = attend_both_ways(rope(q), rope(k), v, 1 / math.sqrt(self.dim),
                                     self.window // 2 if local else 0)
            h = self.linear(heads, f"{block}.attn_output")
            x = x + self.norm(h, f"{block}.post_attention_norm")
            h = self.norm(x, f"{block}.ffn_norm")
            h = gelu_tanh(self.linear(h, f"{block}.ffn_gate")) * self.linear(h, f"{block}.ffn_up")
            x = x + self.norm(self.linear(h, f"{block}.ffn_down"), f"{block}.post_ffw_norm")
        return self.norm(x, "output_norm")

    def states(self, ids):
        """[tokens, width], the last layer's."""
        return self.gemma(ids) if self.weights.arch == "gemma-embedding" else self.bert(ids)

    def vector(self, ids):
        """Of length 1; with rank pooling the score as it is."""
        x = pool(self.states(ids), self.pooling)
        if self.pooling == "rank":
            if self.weights.has("cls.weight"):
                x = np.tanh(self.linear(x, "cls"))
            return self.linear(x, "cls.output") if self.weights.has("cls.output.weight") else x
        for name in ("dense_2", "dense_3"):
            if self.weights.has(f"{name}.weight"):
                x = self.linear(x, name)
        return x / np.linalg.norm(x)


def pool(states, pooling):
    if pooling == "mean":
        return states.astype(np.float64).mean(axis=0).astype(F32)
    return states[-1 if pooling == "last" else 0]

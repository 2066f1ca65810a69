"""What a model's logits should be: a forward pass in numpy, written from the papers and the GGUF
key names, sharing no code with the engine. Weights are those of the file, dequantised by the `gguf`
package one layer at a time; products are f32, sums that are long or delicate f64.

    python tests/reference/reference_model.py MODEL.gguf IDS.txt OUT.npy [--positions 512]
"""

import argparse
import math
import sys

import gguf
import numpy as np

F32 = np.float32


class Weights:
    """The tensors and metadata of a GGUF file. Tensors come back dequantised, [rows, cols]."""

    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        self.tensors = {t.name: t for t in self.reader.tensors}
        self.arch = self.key("general.architecture")

    def key(self, name, default=None):
        field = self.reader.fields.get(name)
        return default if field is None else field.contents()

    def arch_key(self, name, default=None):
        return self.key(f"{self.arch}.{name}", default)

    def has(self, name):
        return name in self.tensors

    def rows(self, name, rows=slice(None)):
        tensor = self.tensors[name]
        return gguf.dequantize(tensor.data[rows], tensor.tensor_type).astype(F32, copy=False)

    def vector(self, name):
        return self.rows(name).reshape(-1)

    def num_rows(self, name):
        return self.tensors[name].data.shape[0]


def rms_norm(x, weight, eps):
    x64 = x.astype(np.float64)
    return (x64 / np.sqrt(np.mean(x64 * x64, axis=-1, keepdims=True) + eps) * weight).astype(F32)


def silu(x):
    return (x / (1 + np.exp(-x.astype(np.float64)))).astype(F32)


def gelu_tanh(x):
    x64 = x.astype(np.float64)
    inner = math.sqrt(2 / math.pi) * (x64 + 0.044715 * x64**3)
    return (0.5 * x64 * (1 + np.tanh(inner))).astype(F32)


class Rope:
    """Rotary embedding (Su et al. 2021), stretched linearly, by YaRN (Peng et al. 2023) or by a
    list of factors (Llama 3)."""

    def __init__(self, dims, base, interleaved, scaling="none", factor=1.0, original_context=0,
                 attention_factor=1.0, beta_fast=32.0, beta_slow=1.0, factors=None):
        self.dims = dims
        self.interleaved = interleaved
        self.magnitude = attention_factor
        pair = np.arange(dims // 2, dtype=np.float64)
        frequency = base ** (-2 * pair / dims)
        if factors is not None:
            frequency = frequency / factors
        if scaling == "linear":
            frequency = frequency / factor
        elif scaling == "yarn":
            def pair_with_turns(turns):
                wavelength = original_context / turns
                return dims / 2 * math.log(wavelength / (2 * math.pi)) / math.log(base)

            first = max(0, math.floor(pair_with_turns(beta_fast)))
            last = min(dims - 1, math.ceil(pair_with_turns(beta_slow)))
            stretched = np.clip((pair - first) / max(last - first, 0.001), 0, 1)
            frequency = frequency * (1 - stretched) + frequency / factor * stretched
            self.magnitude *= 1 + 0.1 * math.log(factor) if factor > 1 else 1
        self.frequency = frequency

    def __call__(self, x):
        """x [tokens, heads, head size], the token's index is its position."""
        angle = np.arange(x.shape[0], dtype=np.float64)[:, None] * self.frequency
        cos = (np.cos(angle) * self.magnitude)[:, None, :]
        sin = (np.sin(angle) * self.magnitude)[:, None, :]
        rotated = x.astype(np.float64)
        half = self.dims // 2
        if self.interleaved:
            a, b = slice(0, self.dims, 2), slice(1, self.dims, 2)
        else:
            a, b = slice(0, half), slice(half, self.dims)
        first, second = rotated[..., a].copy(), rotated[..., b].copy()
        rotated[..., a] = first * cos - second * sin
        rotated[..., b] = first * sin + second * cos
        return rotated.astype(F32)


def softcap(x, cap):
    return x if not cap else (cap * np.tanh(x.astype(np.float64) / cap)).astype(F32)


def attend(q, k, v, scale, window=0, cap=0.0):
    """q [T, heads, d], k and v [T, kv heads, d]; a token sees itself and what came before it, in a
    window only the last `window` of those, itself included."""
    num_tokens, heads, _ = q.shape
    group = heads // k.shape[1]
    position = np.arange(num_tokens)
    distance = position[:, None] - position[None, :]
    hidden = distance < 0
    if window:
        hidden |= distance >= window
    out = np.empty((num_tokens, heads, v.shape[2]), F32)
    for h in range(heads):
        scores = softcap((q[:, h] @ k[:, h // group].T) * F32(scale), cap).astype(np.float64)
        scores[hidden] = -np.inf
        scores -= scores.max(axis=1, keepdims=True)
        weights = np.exp(scores)
        weights /= weights.sum(axis=1, keepdims=True)
        out[:, h] = weights.astype(F32) @ v[:, h // group]
    return out.reshape(num_tokens, -1)


class ReferenceModel:
    """llama, qwen2, qwen3 and gemma3."""

    def __init__(self, path):
        w = self.weights = Weights(path)
        if w.arch not in ("llama", "qwen2", "qwen3", "gemma3"):
            raise ValueError(f"{path}: no reference for architecture {w.arch}")
        self.gemma = w.arch == "gemma3"
        self.num_layers = w.arch_key("block_count")
        self.width = w.arch_key("embedding_length")
        self.heads = w.arch_key("attention.head_count")
        self.kv_heads = w.arch_key("attention.head_count_kv", self.heads)
        self.k_dim = w.arch_key("attention.key_length", self.width // self.heads)
        self.v_dim = w.arch_key("attention.value_length", self.width // self.heads)
        self.eps = w.arch_key("attention.layer_norm_rms_epsilon")
        self.scale = w.arch_key("attention.scale", 1 / math.sqrt(self.k_dim))
        self.rope = self.make_rope()
        self.window = w.arch_key("attention.sliding_window", 0) if self.gemma else 0
        if self.gemma:
            self.local_rope = Rope(self.rope.dims, w.arch_key("rope.freq_base_swa", 10000.0), False)
        self.final_cap = w.arch_key("final_logit_softcapping", 0.0) if self.gemma else 0.0

    def make_rope(self):
        w = self.weights
        linear = w.arch_key("rope.scale_linear", 1.0)
        return Rope(
            dims=w.arch_key("rope.dimension_count", self.k_dim),
            base=w.arch_key("rope.freq_base", 10000.0),
            interleaved=w.arch == "llama",
            scaling=w.arch_key("rope.scaling.type", "linear" if linear != 1 else "none"),
            factor=w.arch_key("rope.scaling.factor", linear),
            original_context=w.arch_key("rope.scaling.original_context_length",
                                        w.arch_key("context_length")),
            attention_factor=w.arch_key("rope.scaling.attn_factor", 1.0),
            beta_fast=w.arch_key("rope.scaling.yarn_beta_fast", 32.0),
            beta_slow=w.arch_key("rope.scaling.yarn_beta_slow", 1.0),
            factors=w.vector("rope_freqs.weight") if w.has("rope_freqs.weight") else None)

    def is_local(self, layer):
        """Whether a layer of Gemma looks through the window: all but each sixth, unless the file
        has another period or a flag for each layer."""
        if not self.window:
            return False
        pattern = self.weights.arch_key("attention.sliding_window_pattern", 6)
        if isinstance(pattern, (list, np.ndarray)):
            return bool(pattern[layer])
        return (layer + 1) % pattern != 0

    def linear(self, x, name):
        y = x @ self.weights.rows(f"{name}.weight").T
        if self.weights.has(f"{name}.bias"):
            y += self.weights.vector(f"{name}.bias")
        return y

    def norm(self, x, name):
        return rms_norm(x, self.weights.vector(f"{name}.weight"), self.eps)

    def attention(self, x, layer):
        block = f"blk.{layer}"
        tokens = x.shape[0]
        q = self.linear(x, f"{block}.attn_q").reshape(tokens, self.heads, self.k_dim)
        k = self.linear(x, f"{block}.attn_k").reshape(tokens, self.kv_heads, self.k_dim)
        v = self.linear(x, f"{block}.attn_v").reshape(tokens, self.kv_heads, self.v_dim)
        if self.weights.has(f"{block}.attn_q_norm.weight"):
            q = self.norm(q, f"{block}.attn_q_norm")
            k = self.norm(k, f"{block}.attn_k_norm")
        local = self.is_local(layer)
        rope = self.local_rope if local else self.rope
        heads = attend(rope(q), rope(k), v, self.scale, self.window if local else 0)
        return self.linear(heads, f"{block}.attn_output")

    def mlp(self, x, layer):
        block = f"blk.{layer}"
        activation = gelu_tanh if self.gemma else silu
        gated = activation(self.linear(x, f"{block}.ffn_gate")) * self.linear(x, f"{block}.ffn_up")
        return self.linear(gated, f"{block}.ffn_down")

    def hidden(self, ids):
        x = self.weights.rows("token_embd.weight", np.asarray(ids))
        if self.gemma:
            x = x * F32(math.sqrt(self.width))
        for layer in range(self.num_layers):
            block = f"blk.{layer}"
            h = self.attention(self.norm(x, f"{block}.attn_norm"), layer)
            if self.gemma:
                h = self.norm(h, f"{block}.post_attention_norm")
            x = x + h
            h = self.mlp(self.norm(x, f"{block}.ffn_norm"), layer)
            if self.gemma:
                h = self.norm(h, f"{block}.post_ffw_norm")
            x = x + h
        return self.norm(x, "output_norm")

    def logits(self, ids):
        """[tokens, vocabulary] f32."""
        x = self.hidden(ids)
        w = self.weights
        name = "output.weight" if w.has("output.weight") else "token_embd.weight"
        vocab = w.num_rows(name)
        out = np.empty((len(ids), vocab), F32)
        step = 16384  # rows of the output matrix that are dequantised at once
        for begin in range(0, vocab, step):
            rows = slice(begin, min(begin + step, vocab))
            out[:, rows] = x @ w.rows(name, rows).T
        return softcap(out, self.final_cap)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("ids", help="file of token ids")
    parser.add_argument("out", help="logits, [tokens, vocabulary] f32, as .npy")
    parser.add_argument("--positions", type=int, help="only the first N ids")
    args = parser.parse_args()
    with open(args.ids, encoding="utf-8") as file:
        ids = [int(word) for word in file.read().split()][:args.positions]
    logits = ReferenceModel(args.model).logits(ids)
    np.save(args.out, logits)
    print(f"{args.out}: {logits.shape[0]} positions, vocabulary {logits.shape[1]}", file=sys.stderr)


if __name__ == "__main__":
    main()

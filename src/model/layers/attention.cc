#include "model/layers/attention.h"

#include <algorithm>

#include "model/layers/norm.h"

namespace lb {

AttentionWeights LoadAttention(WeightLoader& loader, const ModelConfig& config, int layer,
                               bool head_norms) {
  const std::string prefix = LayerName(layer, "attn_");
  const int64_t width = config.width;
  const int64_t q_size = int64_t{config.num_heads} * config.k_dim;
  const int64_t k_size = int64_t{config.num_kv_heads[layer]} * config.k_dim;
  const int64_t v_size = int64_t{config.num_kv_heads[layer]} * config.v_dim;
  const int64_t heads_size = int64_t{config.num_heads} * config.v_dim;
  AttentionWeights w;
  const std::string together = prefix + "qkv.weight";
  if (loader.Has(together)) {
    const int64_t all = q_size + k_size + v_size;
    w.q = loader.LoadRows(together, all, width, 0, q_size);
    w.k = loader.LoadRows(together, all, width, q_size, k_size);
    w.v = loader.LoadRows(together, all, width, q_size + k_size, v_size);
  } else {
    w.q = loader.LoadMatrix(prefix + "q.weight", q_size, width);
    w.k = loader.LoadMatrix(prefix + "k.weight", k_size, width);
    w.v = loader.LoadMatrix(prefix + "v.weight", v_size, width);
  }
  w.output = loader.LoadMatrix(prefix + "output.weight", width, heads_size);
  w.q_bias = loader.LoadOptionalVector(prefix + "q.bias", q_size);
  w.k_bias = loader.LoadOptionalVector(prefix + "k.bias", k_size);
  w.v_bias = loader.LoadOptionalVector(prefix + "v.bias", v_size);
  w.output_bias = loader.LoadOptionalVector(prefix + "output.bias", width);
  if (head_norms) {
    w.q_norm = loader.LoadVector(prefix + "q_norm.weight", config.k_dim);
    w.k_norm = loader.LoadVector(prefix + "k_norm.weight", config.k_dim);
  }
  return w;
}

float ReadAttentionScale(ConfigReader& keys, double fallback) {
  const double scale = keys.Float("attention.scale", 0.0, 1e3, 0.0);
  return static_cast<float>(scale == 0.0 ? fallback : scale);  // 0 means "not given" in old files
}

AttentionSpec MakeAttentionSpec(const ModelConfig& config, int layer, float scale,
                                const RopeTable& rope) {
  AttentionSpec spec;
  spec.num_heads = config.num_heads;
  spec.num_kv_heads = config.num_kv_heads[layer];
  spec.k_dim = config.k_dim;
  spec.v_dim = config.v_dim;
  spec.rope = &rope;
  spec.params.scale = scale;
  if (!config.generates) spec.params.ahead = kSeesAll;
  spec.norm_eps = config.rms_eps;
  return spec;
}

TensorView Attend(Pass& pass, const AttentionWeights& w, const AttentionSpec& spec, int layer,
                  bool last) {
  Ops& ops = pass.ops;
  const int64_t tokens = pass.num_tokens();
  const SequenceBatch& sequences = pass.batch.sequences;
  const KvBatch& blocks = pass.batch.kv[spec.kv_group];
  const KvLayer& kv = pass.kv[layer];
  const TensorView q = pass.arena.Alloc({tokens, int64_t{spec.num_heads} * spec.k_dim});
  const TensorView k = pass.arena.Alloc({tokens, int64_t{spec.num_kv_heads} * spec.k_dim});
  const TensorView v = pass.arena.Alloc({tokens, int64_t{spec.num_kv_heads} * spec.v_dim});

  const MatmulOut products[] = {{w.q.get(), q, w.q_bias.get(), false},
                                {w.k.get(), k, w.k_bias.get(), false},
                                {w.v.get(), v, w.v_bias.get(), false}};
  pass.Multiply(pass.h, products);
  if (!w.q_norm.empty()) RmsNorm(ops, w.q_norm, spec.norm_eps, q, q);
  if (!w.k_norm.empty()) RmsNorm(ops, w.k_norm, spec.norm_eps, k, k);
  if (spec.rope != nullptr) {
    ops.Rope(q, spec.k_dim, sequences.positions, *spec.rope);
    ops.Rope(k, spec.k_dim, sequences.positions, *spec.rope);
  }
  ops.StoreKv(k, v, kv, blocks.slots);
  if (last && pass.num_output_rows() == 0) return {};

  const TensorView out = pass.arena.Alloc({tokens, int64_t{spec.num_heads} * spec.v_dim});
  ops.PagedAttention(q, kv, sequences, blocks, spec.params, out);
  return out;
}

void ProjectHeads(Pass& pass, const AttentionWeights& w, const TensorView& heads,
                  const TensorView& y, bool accumulate) {
  const MatmulOut product{w.output.get(), y, w.output_bias.get(), accumulate};
  pass.Multiply(heads, std::span(&product, 1));
}

size_t AttentionScratchBytes(const ModelConfig& config, int tokens, int output_rows) {
  const int64_t kv_heads =
      *std::max_element(config.num_kv_heads.begin(), config.num_kv_heads.end());
  const int64_t heads_size = int64_t{config.num_heads} * config.v_dim;
  return Arena::RoundedBytes({tokens, int64_t{config.num_heads} * config.k_dim}) +
         Arena::RoundedBytes({tokens, kv_heads * config.k_dim}) +
         Arena::RoundedBytes({tokens, kv_heads * config.v_dim}) +
         Arena::RoundedBytes({tokens, heads_size}) + Arena::RoundedBytes({output_rows, heads_size});
}

}  // namespace lb

// Multi-head attention over the paged cache: weights, properties, and the block itself.
#pragma once

#include <memory>
#include <string>

#include "model/config.h"
#include "model/layers/pass.h"
#include "model/layers/rope.h"
#include "model/weight_loader.h"

namespace lb {

// Of one layer. Vectors that a family or file lacks are empty.
struct AttentionWeights {
  std::unique_ptr<Matrix> q, k, v, output;
  Vector q_bias, k_bias, v_bias, output_bias;
  Vector q_norm, k_norm;  // [k_dim], applied to each head before the rotation
};

// What one layer's attention is like.
struct AttentionSpec {
  int num_heads = 0;
  int num_kv_heads = 0;
  int k_dim = 0;
  int v_dim = 0;
  const RopeTable* rope = nullptr;  // null: positions are in the embeddings
  AttentionParams params;
  float norm_eps = 0;
  int kv_group = 0;
};

// blk.<layer>.attn_{q,k,v,output}.{weight,bias} (or attn_qkv.weight for the first three), and attn_{q,k}_norm.weight when `head_norms`.
AttentionWeights LoadAttention(WeightLoader& loader, const ModelConfig& config, int layer,
                               bool head_norms);

// The properties that follow from the configuration: heads of `layer`, scale 1 / sqrt(k_dim) or
// <arch>.attention.scale.
AttentionSpec MakeAttentionSpec(const ModelConfig& config, int layer, float scale,
                                const RopeTable& rope);
float ReadAttentionScale(ConfigReader& keys, double fallback);

// Reads pass.h [T, width], stores K and V of the T tokens, returns the heads' outputs
// [T, num_heads * v_dim] in the arena. In the last layer nothing is returned when no results are
// wanted: the pass is then complete.
TensorView Attend(Pass& pass, const AttentionWeights& w, const AttentionSpec& spec, int layer,
                  bool last);

// y = heads * W_o + bias, added to y when `accumulate`.
void ProjectHeads(Pass& pass, const AttentionWeights& w, const TensorView& heads,
                  const TensorView& y, bool accumulate);

// Arena bytes of Attend and KeepOutputRows together, at most.
size_t AttentionScratchBytes(const ModelConfig& config, int tokens, int output_rows);

}  // namespace lb

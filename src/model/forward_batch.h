// ForwardBatch: what one step runs. The contract between the engine, which fills it, and a model.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/ops.h"

namespace lb {

// T tokens of S sequences; R rows need logits, of H rows the last hidden state is wanted. There is no
// prefill and no decode: a decoding sequence has one token here, a prefilling one a chunk. Host
// memory, owned by the engine.
struct ForwardBatch {
  std::span<const int32_t> token_ids;  // [T]
  SequenceBatch sequences;
  std::span<const KvBatch> kv;          // [number of the model's KV groups]
  std::span<const int32_t> logit_rows;  // [R] indices into the T tokens
  std::span<const int32_t> hidden_rows;  // [H] likewise
  int best = 0;  // > 0: of the logits only so many best of each row are wanted
};

// Where a pass leaves what was asked of it: f32 in the backend's memory.
struct ForwardOutput {
  TensorView logits;  // [R, vocab_size]
  TensorView hidden;  // [H, width], after the last norm
};

// The K and V storage of every layer, in layer order.
using KvLayers = std::span<const KvLayer>;

}  // namespace lb

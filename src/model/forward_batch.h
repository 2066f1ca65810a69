// ForwardBatch: what one step runs. The contract between the engine, which fills it, and a model.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/ops.h"
#include "model/adapter_use.h"

namespace lb {

// Neighbouring tokens that have the same adapters, at least one.
struct AdapterRun {
  int first = 0, end = 0;  // indices into the T tokens
  std::span<const AdapterUse> uses;
};

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
  std::span<const AdapterRun> adapters = {};  // rising, of tokens that have any
  TokenMasks masks = {};  // of the R rows, when `best` of them are wanted
  bool masked = false;    // there are masks, now or soon
};

// Where a pass leaves what was asked of it: f32 in the backend's memory.
struct ForwardOutput {
  TensorView logits;  // [R, vocab_size]
  TensorView hidden;  // [H, width], after the last norm
};

// The K and V storage of every layer, in layer order.
using KvLayers = std::span<const KvLayer>;

}  // namespace lb

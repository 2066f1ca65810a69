// How much key/value cache a model's metadata asks for, without knowing the model.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "gguf/metadata.h"

namespace lb::gguf {

struct KvEstimate {
  // Bytes of keys and values of one token over all layers, at f16.
  int64_t bytes_per_token = 0;
  int64_t context_length = 0;  // the model's own; 0 when it does not say
  int64_t num_layers = 0;
  // Layers with a window hold at most this many tokens; 0 when there are none. Which layers these
  // are is the model's own business, so bytes_per_token counts every layer in full.
  int64_t sliding_window = 0;
};

// From <arch>.block_count, attention.head_count_kv (or head_count), attention.key_length and
// value_length (or embedding_length / head_count). An error says which key is missing or out of
// range. A model without a cache (attention.causal false) needs 0 bytes.
Result<KvEstimate> EstimateKv(const Metadata& metadata);

}  // namespace lb::gguf

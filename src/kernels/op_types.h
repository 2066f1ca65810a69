// The plain structs that operations take and device code reads too: no more than C++ itself is needed.
#pragma once

#include <cstdint>

#include "quant/dtype.h"

namespace lb {

// Tokens in one KV block, on every backend.
inline constexpr int kKvBlockTokens = 16;

enum class Activation { kSilu, kGeluTanh, kGelu, kRelu };

// The K and V of one layer in the paged pool. Element (block b, head h, token i, dim d) of K lies
// in row (b * num_kv_heads + h) * kKvBlockTokens + i of rows of k_dim values; V likewise.
struct KvLayer {
  void* k = nullptr;
  void* v = nullptr;
  DType k_dtype = DType::kF16;  // F32, F16, BF16, Q8_0 or Q4_0
  DType v_dtype = DType::kF16;
  int num_kv_heads = 0;
  int k_dim = 0;  // values of one head's key
  int v_dim = 0;
  int64_t num_blocks = 0;
};

// The K or the V of one layer of a KV block: block b's bytes begin at pool + b * bytes, and in a slot of the host tier at `offset`.
// Bytes and offset are multiples of 16.
struct KvBlockPart {
  void* pool = nullptr;
  int64_t bytes = 0;
  int64_t offset = 0;
};

// Memory of Ops::AllocateHost, in slots of `slot_bytes` (a multiple of 16).
struct KvHostTier {
  void* memory = nullptr;
  int64_t slot_bytes = 0;
};

// A block and the slot that it goes to, or comes from.
struct KvBlockMove {
  int32_t block = 0;
  int32_t slot = 0;
};

// More than any sequence has tokens, and far from overflow when a position is added.
inline constexpr int kSeesAll = 1 << 30;

struct AttentionParams {
  float scale = 1.0f;
  int window = 0;        // a token sees itself and window - 1 before it; 0: all
  float softcap = 0.0f;  // cap * tanh(score / cap); 0: off
  int ahead = 0;         // it sees so many after it too, as far as the sequence goes; kSeesAll: all
};

}  // namespace lb

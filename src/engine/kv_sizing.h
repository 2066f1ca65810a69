// How much memory a KV cache takes, and how large to make it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "kv/kv_cache_manager.h"
#include "model/model.h"

namespace lb {

struct KvDTypes {
  DType k = DType::kF16;
  DType v = DType::kF16;
};

// f16, bf16, f32, q8_0, q4_0 or fp8; kInvalidArgument names the flag and what is allowed.
Result<DType> ParseKvDType(std::string_view flag, std::string_view name);

// Bytes that one token takes in all layers.
int64_t BytesPerToken(const ModelConfig& model, KvDTypes dtypes);

struct KvSizing {
  int64_t ctx_size = 0;      // -c: tokens in the pool, and the longest request; 0: from memory
  int64_t memory_bytes = 0;  // --kv-memory: what the pool may take; 0: auto
  KvDTypes dtypes;
  int64_t available_bytes = 0;  // what the machine can give; 0: unknown
  bool all_of_it = false;       // auto: nobody else wants that memory, a GPU's
};

struct KvPlan {
  int64_t pool_tokens = 0;         // whole blocks
  int64_t max_request_tokens = 0;  // prompt plus answer
  int64_t pool_bytes = 0;
  int64_t bytes_per_token = 0;
  std::vector<kv::KvGroupConfig> groups;
  std::string summary;  // one line for the log
  std::string warning;  // or empty
};

// Every group gets the blocks of pool_tokens: a window's table never holds more blocks than a full
// one, so no window is ever short before the full group is, and blocks behind a window can stay
// cached for as long as their tokens do. Auto: half of what is available, at most 16 requests of
// full length. kInvalidArgument with the arithmetic when -c needs more than --kv-memory, the pool
// is too small to serve anybody, or the machine has not the memory.
Result<KvPlan> PlanKv(const ModelConfig& model, const KvSizing& sizing);

struct HostTierPlan {
  int slots = 0;        // blocks it keeps
  int64_t bytes = 0;    // at most those asked for
  std::string summary;  // one line for the log
};

// The tier on the host of a cache without windows. kInvalidArgument with the arithmetic when not one block fits `memory_bytes`, or
// these are more than is available (0: unknown).
Result<HostTierPlan> PlanHostTier(const KvPlan& plan, int64_t memory_bytes, int64_t available_bytes);

}  // namespace lb

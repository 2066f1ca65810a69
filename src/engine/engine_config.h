// What an engine is told at start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kv/kv_cache_manager.h"
#include "model/adapter_use.h"
#include "model/pooling.h"

namespace lb {

struct EngineConfig {
  std::vector<kv::KvGroupConfig> kv_groups;  // in the order of the model's KV groups
  int64_t max_request_tokens = 0;  // longest prompt plus answer; at most the tokens of the pool
  int max_sequences = 32;      // that run together; lowered to half of max_batch_tokens if above
  int max_batch_tokens = 512;  // in one step
  int max_queue = 1024;        // requests that wait before kOverloaded
  int stream_capacity = 256;   // events a reader may lag behind before its sequence is held
  bool generates = true;       // false: a text is computed as a whole, in one step, for its vector
  std::optional<Pooling> pooling;  // of requests for vectors; none: they are refused
  int num_adapters = 0;            // that the model has
  std::vector<AdapterUse> start_adapters;  // those of most requests: their cache outlives the process
  bool prefix_cache = true;    // --no-cache-prompt: false
  int host_slots = 0;          // blocks that the host tier keeps, as the runner's; only where a group has no window
  double max_gap_ratio = 4.0;  // how many times longer a step of running streams may get because
                               // somebody's prompt is computed beside them
  // Guesses of what comes next, from the text before it where its last `lookup_min_match` tokens
  // stood already (0: not from there) or from a draft model: so many tokens at most for one sequence,
  // and for all in one step (0: no guesses at all).
  int lookup_min_match = 0;
  int max_draft = 16;
  int max_step_drafts = 0;
  int max_step_ms = 500;       // aimed at: how long prompts may keep a cancellation or a newcomer
  int efficient_tokens = 64;  // below so many prompt tokens a step costs hardly less: more on a GPU
                               // waiting
};

}  // namespace lb

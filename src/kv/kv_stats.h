// The numbers and the picture of the cache, for logs, metrics and GET /kv. Plain copies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lb::kv {

// free + cached + used = total.
struct GroupStats {
  int window = 0;  // 0: full attention
  int64_t total = 0, free = 0, cached = 0, used = 0;
};

// Of the host tier; a slot holds one node. free + kept = slots.
struct HostStats {
  int64_t slots = 0, free = 0, kept = 0;
  int64_t saved = 0, loaded = 0, evictions = 0;  // nodes: to the host, back, and gone from there
};

struct KvStats {
  std::vector<GroupStats> groups;
  HostStats host;                // no slots: there is no such tier
  int64_t nodes = 0;             // of the prefix tree
  int64_t evictions = 0;         // blocks taken from the tree for lack of free ones; only grows
  // "free=1 cached=2 used=3 of 6", the groups separated by "; ", then "; host free=1 kept=2 of 3 saved=4 loaded=5".
  std::string ToString() const;
};

// A run of tree nodes of which each but the last has one child. No text and no token ids.
struct KvRun {
  int id = 0;
  int parent = -1;  // index in KvSnapshot::runs
  uint64_t cache_namespace = 0;
  int64_t start_token = 0;  // tokens before the run
  int64_t num_tokens = 0;
  int64_t window_tokens = 0;  // of which every window group still holds its block
  int sequences = 0;          // that hold the whole run now
  int64_t hits = 0;           // sequences that reused its first block
  int64_t idle_ms = 0;        // since its first block was last used
  int64_t host_tokens = 0;    // the last ones of the run: they are on the host
};

struct KvSnapshot {
  KvStats stats;
  std::vector<KvRun> runs;  // parents before children, those used last first
  int64_t runs_left_out = 0;
};

}  // namespace lb::kv

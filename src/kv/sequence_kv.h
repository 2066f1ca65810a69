// SequenceKv: what one sequence holds of the cache.
#pragma once

#include <vector>

#include "kv/block_table.h"
#include "kv/types.h"

namespace lb::kv {

class KvCacheManager;

// Made by KvCacheManager::NewSequence, which outlives it; changed only through the manager. Empty
// until Attach and after Release; the destructor releases. Does not move. Engine thread only.
class SequenceKv {
 public:
  SequenceKv(const SequenceKv&) = delete;
  SequenceKv& operator=(const SequenceKv&) = delete;
  ~SequenceKv();

  const BlockTable& table(int group) const { return tables_[static_cast<size_t>(group)]; }
  // Tokens whose keys and values are in the blocks.
  int64_t num_computed() const { return num_computed_; }
  bool attached() const { return attached_; }

 private:
  friend class KvCacheManager;
  SequenceKv(KvCacheManager* manager, uint64_t ns, bool use_cache)
      : manager_(manager), ns_(ns), use_cache_(use_cache) {}

  KvCacheManager* manager_;
  uint64_t ns_;
  bool use_cache_;  // reads and feeds the tree
  bool attached_ = false;
  int64_t num_computed_ = 0;
  std::vector<BlockTable> tables_;  // [groups]
  std::vector<NodeId> path_;        // path_[i] is the node of block i; the tree's blocks come first
  std::vector<uint64_t> hashes_;    // chain hash of every full block of the tokens known so far
  size_t pending_begin_ = 0;        // hashes_[pending_begin_ .. pending_end_) are announced as
  size_t pending_end_ = 0;          // blocks that this sequence is going to compute
};

}  // namespace lb::kv

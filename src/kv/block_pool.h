// BlockPool: who holds which of a fixed number of blocks. Ids only, no memory.
#pragma once

#include <optional>
#include <vector>

#include "kv/types.h"

namespace lb::kv {

// A block is in exactly one state:
//   free    nobody holds it
//   cached  the prefix tree holds it and no table does: kept for reuse, may be evicted
//   used    one or more tables hold it (the tree may hold it too)
// so free + cached + used = size, always. Cached blocks stand in the order in which they became
// cached. Every operation is O(1). Engine thread only.
class BlockPool {
 public:
  explicit BlockPool(int num_blocks);
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // A free block, now used with one reference; nothing when none is free (the caller evicts).
  std::optional<BlockId> Allocate();
  // One more table holds `block`, which is cached or used.
  void AddRef(BlockId block);
  // One table fewer: the last one makes it cached when the tree holds it, else free.
  void Release(BlockId block);

  // The tree takes hold of a used block, for `owner`.
  void SetOwner(BlockId block, NodeId owner);
  // The tree lets go; a cached block becomes free.
  void ClearOwner(BlockId block);
  NodeId owner(BlockId block) const { return slots_[Index(block)].owner; }
  int refs(BlockId block) const { return slots_[Index(block)].refs; }

  // The block that has been cached longest.
  std::optional<BlockId> LeastRecentlyCached() const;
  // The one that became cached after `block`; for walks over all of them.
  std::optional<BlockId> NextCached(BlockId block) const;

  int size() const { return static_cast<int>(slots_.size()); }
  int num_free() const { return static_cast<int>(free_.size()); }
  int num_cached() const { return num_cached_; }
  int num_used() const { return size() - num_free() - num_cached_; }
  // What an allocation can have: free now, or by eviction.
  int num_available() const { return num_free() + num_cached_; }
  const std::vector<BlockId>& free_blocks() const { return free_; }

 private:
  struct Slot {
    int refs = 0;
    NodeId owner = kNoNode;
    BlockId prev = kNoBlock, next = kNoBlock;  // neighbours in the cached order
    bool is_free = true;
  };
  size_t Index(BlockId block) const;
  void LinkLast(BlockId block);
  void Unlink(BlockId block);

  std::vector<Slot> slots_;
  std::vector<BlockId> free_;  // a stack: the block freed last is warm
  BlockId first_cached_ = kNoBlock, last_cached_ = kNoBlock;
  int num_cached_ = 0;
};

}  // namespace lb::kv

// BlockTable: the blocks of one sequence in one group, in order of position.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "base/check.h"
#include "kv/block_pool.h"

namespace lb::kv {

// Entry i holds positions 16 i .. 16 i + 15. Owns one reference per entry and returns it when it
// lets go, at the latest in the destructor. Grows at the end only; an entry in the middle may be
// dropped (behind a sliding window) or exchanged for another block with the same tokens, never
// moved. Move-only. Engine thread only; the pool outlives it.
class BlockTable {
 public:
  // The order in which Clear returns the blocks, and so in which they will be evicted.
  enum class Order {
    kBackToFront,  // full attention: the tail is worthless without the front, so it goes first
    kFrontToBack,  // a window: what lies farthest behind goes first
  };
  BlockTable(BlockPool* pool, Order order) : pool_(pool), order_(order) {}
  BlockTable(BlockTable&& other) noexcept
      : pool_(other.pool_),
        order_(other.order_),
        blocks_(std::move(other.blocks_)),
        first_(std::exchange(other.first_, 0)) {
    other.blocks_.clear();
  }
  BlockTable& operator=(BlockTable&&) = delete;
  ~BlockTable() { Clear(); }

  // Takes over a reference that the caller holds; kNoBlock marks a position range never held.
  void Append(BlockId block) {
    if (block == kNoBlock) CHECK_EQ(first_, size());
    blocks_.push_back(block);
    if (block == kNoBlock) first_ = size();
  }
  // Entry i becomes `block`, whose reference the caller hands over.
  void Exchange(int i, BlockId block) {
    pool_->Release(std::exchange(blocks_[static_cast<size_t>(i)], block));
  }
  // Returns the entries before `index`.
  void DropBefore(int index) {
    for (; first_ < index && first_ < size(); ++first_) {
      pool_->Release(std::exchange(blocks_[static_cast<size_t>(first_)], kNoBlock));
    }
  }
  // Returns the entries from `count` on.
  void Truncate(int count) {
    while (size() > count) {
      if (blocks_.back() != kNoBlock) pool_->Release(blocks_.back());
      blocks_.pop_back();
    }
    if (first_ > size()) first_ = size();
  }
  void Clear() {
    if (order_ == Order::kFrontToBack) DropBefore(size());
    Truncate(0);
  }

  int size() const { return static_cast<int>(blocks_.size()); }
  // Entries really held: size() less those dropped.
  int num_held() const { return size() - first_; }
  // Index of the first entry held.
  int first() const { return first_; }
  BlockId operator[](int i) const { return blocks_[static_cast<size_t>(i)]; }
  std::span<const BlockId> blocks() const { return blocks_; }

 private:
  BlockPool* pool_;
  Order order_;
  std::vector<BlockId> blocks_;
  int first_ = 0;
};

}  // namespace lb::kv

#include "kv/block_pool.h"

#include "base/check.h"

namespace lb::kv {

BlockPool::BlockPool(int num_blocks) : slots_(static_cast<size_t>(num_blocks)) {
  free_.reserve(slots_.size());
  for (int b = num_blocks - 1; b >= 0; --b) free_.push_back(BlockId(b));
}

size_t BlockPool::Index(BlockId block) const {
  CHECK_GE(block.value, 0);
  CHECK_LT(static_cast<size_t>(block.value), slots_.size());
  return static_cast<size_t>(block.value);
}

std::optional<BlockId> BlockPool::Allocate() {
  if (free_.empty()) return std::nullopt;
  const BlockId block = free_.back();
  free_.pop_back();
  Slot& slot = slots_[Index(block)];
  slot.is_free = false;
  slot.refs = 1;
  return block;
}

void BlockPool::AddRef(BlockId block) {
  Slot& slot = slots_[Index(block)];
  CHECK(!slot.is_free);
  if (slot.refs == 0) Unlink(block);
  ++slot.refs;
}

void BlockPool::Release(BlockId block) {
  Slot& slot = slots_[Index(block)];
  CHECK_GT(slot.refs, 0);
  if (--slot.refs > 0) return;
  if (slot.owner != kNoNode) {
    LinkLast(block);
  } else {
    slot.is_free = true;
    free_.push_back(block);
  }
}

void BlockPool::SetOwner(BlockId block, NodeId owner) {
  Slot& slot = slots_[Index(block)];
  CHECK_GT(slot.refs, 0);
  CHECK(slot.owner == kNoNode);
  slot.owner = owner;
}

void BlockPool::ClearOwner(BlockId block) {
  Slot& slot = slots_[Index(block)];
  CHECK(slot.owner != kNoNode);
  slot.owner = kNoNode;
  if (slot.refs > 0) return;
  Unlink(block);
  slot.is_free = true;
  free_.push_back(block);
}

std::optional<BlockId> BlockPool::LeastRecentlyCached() const {
  if (first_cached_ == kNoBlock) return std::nullopt;
  return first_cached_;
}

std::optional<BlockId> BlockPool::NextCached(BlockId block) const {
  const BlockId next = slots_[Index(block)].next;
  if (next == kNoBlock) return std::nullopt;
  return next;
}

void BlockPool::LinkLast(BlockId block) {
  Slot& slot = slots_[Index(block)];
  slot.prev = last_cached_;
  slot.next = kNoBlock;
  if (last_cached_ != kNoBlock) slots_[Index(last_cached_)].next = block;
  if (first_cached_ == kNoBlock) first_cached_ = block;
  last_cached_ = block;
  ++num_cached_;
}

void BlockPool::Unlink(BlockId block) {
  Slot& slot = slots_[Index(block)];
  if (slot.prev != kNoBlock) slots_[Index(slot.prev)].next = slot.next;
  if (slot.next != kNoBlock) slots_[Index(slot.next)].prev = slot.prev;
  if (first_cached_ == block) first_cached_ = slot.next;
  if (last_cached_ == block) last_cached_ = slot.prev;
  slot.prev = slot.next = kNoBlock;
  --num_cached_;
}

}  // namespace lb::kv

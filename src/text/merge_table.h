// The merges of a byte-pair vocabulary: pair of symbols to rank and merged symbol.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "text/symbol_merger.h"

namespace lb::text {

// Filled once, then read from any thread. 16 bytes a slot, at most half of them taken.
class MergeTable {
 public:
  explicit MergeTable(size_t merges = 0) : slots_(std::bit_ceil(2 * merges + 2)) {}

  // The first of equal pairs counts. No more pairs than the constructor was told.
  void Add(uint32_t left, uint32_t right, Merge merge) {
    Slot& slot = slots_[SlotOf(Key(left, right))];
    if (slot.key == kFree) slot = {Key(left, right), merge};
  }
  Merge Find(uint32_t left, uint32_t right) const {
    return slots_[SlotOf(Key(left, right))].merge;
  }

 private:
  static constexpr uint64_t kFree = static_cast<uint64_t>(-1);
  struct Slot {
    uint64_t key = kFree;
    Merge merge;
  };

  static uint64_t Key(uint32_t left, uint32_t right) { return (uint64_t{left} << 32) | right; }
  size_t SlotOf(uint64_t key) const {
    uint64_t hash = key * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
    size_t at = hash & (slots_.size() - 1);
    while (slots_[at].key != kFree && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace lb::text

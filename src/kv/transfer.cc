#include "kv/transfer.h"

#include <unordered_set>

namespace lb::kv {

size_t IndependentTransfers(std::span<const Transfer> transfers) {
  std::unordered_set<int64_t> filled;  // slots, or blocks of all groups
  size_t count = 0;
  for (const Transfer& t : transfers) {
    if (t.kind != transfers.front().kind) break;
    bool fresh = true;
    if (t.kind == Transfer::Kind::kSave) {
      fresh = filled.insert(t.slot.value).second;
    } else {
      for (int g = 0; g < kMaxGroups; ++g) {
        const BlockId block = t.blocks[static_cast<size_t>(g)];
        if (block != kNoBlock) fresh &= filled.insert(int64_t{block.value} * kMaxGroups + g).second;
      }
    }
    if (!fresh) break;
    ++count;
  }
  return count;
}

}  // namespace lb::kv

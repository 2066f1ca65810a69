// Transfer: one node's blocks on their way between the pool and the host tier.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "kv/types.h"

namespace lb::kv {

// Ids only, as all of src/kv; the runner knows where the bytes are. A list of transfers is meant in its order: one may read
// what the one before it wrote, or write what the one before it read.
struct Transfer {
  enum class Kind {
    kSave,  // blocks -> slot
    kLoad,  // slot -> blocks
  };
  Kind kind = Kind::kSave;
  BlockId slot = kNoBlock;                 // of the host tier
  std::array<BlockId, kMaxGroups> blocks;  // one per group; kNoBlock: nothing of this group
};

// How many transfers from the front on can be done in any order, or at once: all go the same way, and no two to one place.
size_t IndependentTransfers(std::span<const Transfer> transfers);

}  // namespace lb::kv

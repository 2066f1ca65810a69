// The small words of the KV cache: ids, the block size, groups.
#pragma once

#include <cstdint>

#include "base/strong_id.h"

namespace lb::kv {

// Tokens in one block. The engine checks that it equals the kernels' kKvBlockTokens.
inline constexpr int kBlockTokens = 16;

// Most layer groups that a model may have (full attention, and sliding windows of other widths).
inline constexpr int kMaxGroups = 4;

// A block of one group's pool: 0 .. num_blocks - 1; -1 means "none".
using BlockId = StrongId<struct BlockTag>;
inline constexpr BlockId kNoBlock{-1};

// A node of the prefix tree; -1 is the root's side: "no parent".
using NodeId = StrongId<struct NodeTag>;
inline constexpr NodeId kNoNode{-1};

// Blocks that hold positions 0 .. num_tokens - 1.
constexpr int64_t BlocksFor(int64_t num_tokens) {
  return (num_tokens + kBlockTokens - 1) / kBlockTokens;
}

}  // namespace lb::kv

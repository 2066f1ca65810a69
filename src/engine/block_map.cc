#include "engine/block_map.h"

#include <algorithm>

namespace lb {
namespace {

int MostFrequent(std::span<int> states) {
  std::ranges::sort(states);
  int best = states.front();
  size_t most = 0;
  for (size_t begin = 0, end = 0; begin < states.size(); begin = end) {
    while (end < states.size() && states[end] == states[begin]) ++end;
    if (end - begin >= most) {
      most = end - begin;
      best = states[begin];
    }
  }
  return best;
}

}  // namespace

BlockMap MapBlocks(const kv::BlockPool& pool, std::span<const kv::BlockTable* const> tables) {
  std::vector<int> states(static_cast<size_t>(pool.size()));
  for (int b = 0; b < pool.size(); ++b) {
    const kv::BlockId block(b);
    states[static_cast<size_t>(b)] = pool.refs(block) > 0                 ? BlockMap::kShared
                                     : pool.owner(block) != kv::kNoNode ? BlockMap::kCached
                                                                        : BlockMap::kFree;
  }
  for (size_t t = 0; t < tables.size(); ++t) {
    if (tables[t] == nullptr) continue;
    for (const kv::BlockId block : tables[t]->blocks()) {
      if (block == kv::kNoBlock || pool.refs(block) != 1) continue;
      states[static_cast<size_t>(block.value)] = BlockMap::kFirstOwner + static_cast<int>(t);
    }
  }
  BlockMap map;
  map.blocks_per_cell =
      std::max(1, (pool.size() + BlockMap::kMostCells - 1) / BlockMap::kMostCells);
  const size_t step = static_cast<size_t>(map.blocks_per_cell);
  for (size_t at = 0; at < states.size(); at += step) {
    const std::span<int> cell(states.data() + at, std::min(step, states.size() - at));
    const int state = step == 1 ? cell.front() : MostFrequent(cell);
    if (!map.runs.empty() && map.runs.back().first == state) {
      ++map.runs.back().second;
    } else {
      map.runs.emplace_back(state, 1);
    }
  }
  return map;
}

}  // namespace lb

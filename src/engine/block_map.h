// BlockMap: what every block of a pool is doing now, small enough to be drawn.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kv/block_pool.h"
#include "kv/block_table.h"

namespace lb {

// A pool as a row of cells in the order of block ids. A cell is one block, or in a large pool
// several neighbours, of which it shows the state that most of them have.
struct BlockMap {
  static constexpr int kFree = 0, kCached = 1, kShared = 2;  // shared: several tables hold it
  static constexpr int kFirstOwner = 3;  // kFirstOwner + i: only the i-th table holds it
  static constexpr int kMostCells = 4096;

  int blocks_per_cell = 1;
  std::vector<std::pair<int, int>> runs;  // state, number of equal cells that follow each other
};

// `tables` are those that hold blocks of `pool`; null ones are skipped.
BlockMap MapBlocks(const kv::BlockPool& pool, std::span<const kv::BlockTable* const> tables);

}  // namespace lb

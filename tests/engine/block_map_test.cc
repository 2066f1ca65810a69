// Proves that the map of a pool says of every block who holds it, that a large pool is told in cells
// of several blocks, and that it has as many cells as it says.
#include "engine/block_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace lb {
namespace {

using kv::BlockId;
using kv::BlockPool;
using kv::BlockTable;
using testing::ElementsAre;
using testing::Pair;

TEST(BlockMapTest, SaysWhoHoldsEachBlock) {
  BlockPool pool(8);
  BlockTable one(&pool, BlockTable::Order::kBackToFront);
  BlockTable two(&pool, BlockTable::Order::kBackToFront);
  std::vector<BlockId> b;
  for (int i = 0; i < 6; ++i) b.push_back(*pool.Allocate());
  std::ranges::sort(b, {}, &BlockId::value);
  const int first = b[0].value;
  pool.SetOwner(b[0], kv::NodeId(0));  // will be cached
  pool.Release(b[0]);
  for (int i : {1, 2}) one.Append(b[static_cast<size_t>(i)]);
  pool.AddRef(b[2]);
  two.Append(b[2]);
  for (int i : {3, 4, 5}) two.Append(b[static_cast<size_t>(i)]);
  const BlockTable* tables[] = {&one, nullptr, &two};
  const BlockMap map = MapBlocks(pool, tables);
  EXPECT_EQ(map.blocks_per_cell, 1);
  std::vector<int> states;
  for (const auto& [state, count] : map.runs) states.insert(states.end(), static_cast<size_t>(count), state);
  ASSERT_EQ(states.size(), 8u);
  const auto part = std::vector<int>(states.begin() + first, states.begin() + first + 6);
  EXPECT_THAT(part, ElementsAre(BlockMap::kCached, BlockMap::kFirstOwner, BlockMap::kShared,
                                BlockMap::kFirstOwner + 2, BlockMap::kFirstOwner + 2,
                                BlockMap::kFirstOwner + 2));
  EXPECT_EQ(std::ranges::count(states, BlockMap::kFree), 2);
}

TEST(BlockMapTest, ALargePoolIsToldInCells) {
  BlockPool pool(3 * BlockMap::kMostCells - 1);
  BlockTable all(&pool, BlockTable::Order::kBackToFront);
  while (pool.num_free() > 0) all.Append(*pool.Allocate());
  const BlockTable* tables[] = {&all};
  const BlockMap map = MapBlocks(pool, tables);
  EXPECT_EQ(map.blocks_per_cell, 3);
  EXPECT_THAT(map.runs, ElementsAre(Pair(BlockMap::kFirstOwner, BlockMap::kMostCells)));
}

TEST(BlockMapTest, ACellShowsWhatMostOfItsBlocksAre) {
  BlockPool pool(2 * BlockMap::kMostCells);
  BlockTable most(&pool, BlockTable::Order::kBackToFront);
  std::vector<BlockId> taken;
  while (pool.num_free() > 0) taken.push_back(*pool.Allocate());
  for (const BlockId block : taken) {
    if (block.value < 2) {
      pool.Release(block);
    } else {
      most.Append(block);
    }
  }
  const BlockTable* tables[] = {&most};
  EXPECT_THAT(MapBlocks(pool, tables).runs,
              ElementsAre(Pair(BlockMap::kFree, 1),
                          Pair(BlockMap::kFirstOwner, BlockMap::kMostCells - 1)));
}

}  // namespace
}  // namespace lb

// Proves that a block is always in exactly one state, and that cached blocks go in the order in
// which they became cached; and that a table gives back what it holds, however it ends.
#include "kv/block_pool.h"

#include <gtest/gtest.h>

#include "kv/block_table.h"

namespace lb::kv {
namespace {

void ExpectCounts(const BlockPool& pool, int free, int cached, int used) {
  EXPECT_EQ(pool.num_free(), free);
  EXPECT_EQ(pool.num_cached(), cached);
  EXPECT_EQ(pool.num_used(), used);
  EXPECT_EQ(pool.num_free() + pool.num_cached() + pool.num_used(), pool.size());
}

TEST(BlockPoolTest, HandsOutEveryBlockOnceAndThenNone) {
  BlockPool pool(5);
  std::vector<bool> seen(5, false);
  for (int i = 0; i < 5; ++i) {
    const auto b = pool.Allocate();
    ASSERT_TRUE(b.has_value());
    EXPECT_FALSE(seen[static_cast<size_t>(b->value)]);
    seen[static_cast<size_t>(b->value)] = true;
  }
  EXPECT_FALSE(pool.Allocate().has_value());
  ExpectCounts(pool, 0, 0, 5);
}

TEST(BlockPoolTest, TheLastReferenceFreesOrCaches) {
  BlockPool pool(2);
  const BlockId a = *pool.Allocate();
  const BlockId b = *pool.Allocate();
  pool.AddRef(a);
  pool.SetOwner(b, NodeId(3));
  pool.Release(a);
  ExpectCounts(pool, 0, 0, 2);
  pool.Release(a);
  ExpectCounts(pool, 1, 0, 1);
  pool.Release(b);
  ExpectCounts(pool, 1, 1, 0);
  pool.AddRef(b);  // found again by its prefix
  ExpectCounts(pool, 1, 0, 1);
  pool.Release(b);
  pool.ClearOwner(b);
  ExpectCounts(pool, 2, 0, 0);
}

TEST(BlockPoolTest, CachedOrderIsTheOrderOfLettingGo) {
  BlockPool pool(4);
  std::vector<BlockId> b;
  for (int i = 0; i < 4; ++i) {
    b.push_back(*pool.Allocate());
    pool.SetOwner(b.back(), NodeId(i));
  }
  for (int i : {2, 0, 3, 1}) pool.Release(b[static_cast<size_t>(i)]);
  pool.AddRef(b[0]);
  pool.Release(b[0]);
  std::vector<int> order;
  for (auto c = pool.LeastRecentlyCached(); c.has_value(); c = pool.NextCached(*c)) {
    order.push_back(pool.owner(*c).value);
  }
  EXPECT_EQ(order, (std::vector<int>{2, 3, 1, 0}));
}

TEST(BlockPoolDeathTest, MisuseIsABugOfOurs) {
  BlockPool pool(1);
  const BlockId a = *pool.Allocate();
  pool.Release(a);
  EXPECT_DEATH(pool.Release(a), "CHECK failed");
  EXPECT_DEATH(pool.AddRef(a), "CHECK failed");
  EXPECT_DEATH(pool.AddRef(BlockId(1)), "CHECK failed");
}

TEST(BlockTableTest, GivesBackWhatItHolds) {
  BlockPool pool(8);
  {
    BlockTable table(&pool, BlockTable::Order::kBackToFront);
    for (int i = 0; i < 6; ++i) table.Append(*pool.Allocate());
    table.DropBefore(2);
    EXPECT_EQ(table.num_held(), 4);
    EXPECT_EQ(table.size(), 6);
    EXPECT_TRUE(table[1] == kNoBlock);
    ExpectCounts(pool, 4, 0, 4);
    table.Truncate(5);
    ExpectCounts(pool, 5, 0, 3);
    table.Exchange(3, *pool.Allocate());
    ExpectCounts(pool, 5, 0, 3);
    BlockTable moved = std::move(table);
    EXPECT_EQ(moved.num_held(), 3);
    ExpectCounts(pool, 5, 0, 3);
  }
  ExpectCounts(pool, 8, 0, 0);
}

TEST(BlockTableTest, OrderDecidesWhoIsEvictedFirst) {
  for (auto [order, expected] :
       {std::pair{BlockTable::Order::kBackToFront, std::vector{2, 1, 0}},
        std::pair{BlockTable::Order::kFrontToBack, std::vector{0, 1, 2}}}) {
    BlockPool pool(3);
    BlockTable table(&pool, order);
    for (int i = 0; i < 3; ++i) {
      table.Append(*pool.Allocate());
      pool.SetOwner(table[i], NodeId(i));
    }
    table.Clear();
    std::vector<int> owners;
    for (auto c = pool.LeastRecentlyCached(); c.has_value(); c = pool.NextCached(*c)) {
      owners.push_back(pool.owner(*c).value);
    }
    EXPECT_EQ(owners, expected);
  }
}

TEST(BlockTableTest, AHoleComesOnlyAtTheFront) {
  BlockPool pool(4);
  BlockTable table(&pool, BlockTable::Order::kFrontToBack);
  table.Append(kNoBlock);
  table.Append(kNoBlock);
  table.Append(*pool.Allocate());
  EXPECT_EQ(table.first(), 2);
  EXPECT_EQ(table.num_held(), 1);
  EXPECT_DEATH(table.Append(kNoBlock), "CHECK failed");
}

}  // namespace
}  // namespace lb::kv

// Proves the rules of reuse and of room one by one: what matches, what is evicted first, what a
// window lets go, what waits, and that nothing is taken when not all of it can be had.
#include "kv/kv_cache_manager.h"

#include <gtest/gtest.h>

#include <numeric>

namespace lb::kv {
namespace {

std::vector<TokenId> Text(int n, TokenId start = 0) {
  std::vector<TokenId> t(static_cast<size_t>(n));
  std::iota(t.begin(), t.end(), start);
  return t;
}

class KvCacheManagerTest : public testing::Test {
 protected:
  void Make(std::vector<KvGroupConfig> groups, uint64_t hash_mask = ~uint64_t{0}) {
    KvCacheConfig config;
    config.groups = std::move(groups);
    config.max_chunk = 64;
    config.hash_mask = hash_mask;
    auto made = KvCacheManager::Create(config);
    ASSERT_TRUE(made.has_value()) << made.error().message;
    kv_ = std::move(*made);
  }
  // A sequence with all of `tokens` computed.
  std::unique_ptr<SequenceKv> Compute(const std::vector<TokenId>& tokens, uint64_t ns = 0) {
    auto s = kv_->NewSequence(ns, true);
    kv_->Attach(*s, tokens, kv_->Match(*s, tokens));
    EXPECT_TRUE(kv_->Reserve(*s, static_cast<int64_t>(tokens.size())));
    kv_->Commit(*s, tokens, static_cast<int64_t>(tokens.size()));
    ExpectSound();
    return s;
  }
  int Cached(const std::vector<TokenId>& tokens, uint64_t ns = 0) {
    auto s = kv_->NewSequence(ns, true);
    return static_cast<int>(kv_->Match(*s, tokens).num_tokens());
  }
  void ExpectSound() {
    const auto sound = kv_->CheckInvariants();
    EXPECT_TRUE(sound.has_value()) << sound.error().message;
  }

  std::unique_ptr<KvCacheManager> kv_;
};

TEST_F(KvCacheManagerTest, RefusesPoolsThatCannotServe) {
  KvCacheConfig config;
  EXPECT_FALSE(KvCacheManager::Create(config).has_value());
  config.groups = {{0, 0}};
  EXPECT_FALSE(KvCacheManager::Create(config).has_value());
  config.groups = {{0, 10}, {64, 5}};
  EXPECT_FALSE(KvCacheManager::Create(config).has_value());
  config.groups = {{0, 10}, {64, 6}};
  EXPECT_TRUE(KvCacheManager::Create(config).has_value());
}

TEST_F(KvCacheManagerTest, MatchesWholeBlocksShortOfTheLastToken) {
  Make({{0, 20}});
  Compute(Text(100)).reset();
  EXPECT_EQ(Cached(Text(100)), 96);
  EXPECT_EQ(Cached(Text(97)), 96);
  EXPECT_EQ(Cached(Text(96)), 80);  // the last token is computed, and with it its block
  EXPECT_EQ(Cached(Text(17)), 16);
  EXPECT_EQ(Cached(Text(16)), 0);
  EXPECT_EQ(Cached(Text(100, 1)), 0);
  EXPECT_EQ(Cached(Text(100), 1), 0);  // another namespace
  auto fork = Text(100);
  fork[40] = 7;
  EXPECT_EQ(Cached(fork), 32);
}

TEST_F(KvCacheManagerTest, NarrowHashesChangeNothing) {
  Make({{0, 40}}, 0x1);
  Compute(Text(100)).reset();
  Compute(Text(100, 500)).reset();
  Compute(Text(100), 3).reset();
  EXPECT_EQ(Cached(Text(100)), 96);
  EXPECT_EQ(Cached(Text(100, 500)), 96);
  EXPECT_EQ(Cached(Text(100), 3), 96);
  EXPECT_EQ(Cached(Text(100, 7)), 0);
  ExpectSound();
}

TEST_F(KvCacheManagerTest, SharesBlocksBetweenSequences) {
  Make({{0, 20}});
  auto a = Compute(Text(100));
  auto b = Compute(Text(100));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(a->table(0)[i], b->table(0)[i]);
  EXPECT_NE(a->table(0)[6], b->table(0)[6]);  // the open block is each one's own
  EXPECT_EQ(kv_->pool(0).num_used(), 8);
}

TEST_F(KvCacheManagerTest, TheSameBlockComputedTwiceIsKeptOnce) {
  Make({{0, 20}});
  const auto text = Text(33);
  auto a = kv_->NewSequence(0, true);
  auto b = kv_->NewSequence(0, true);
  kv_->Attach(*a, text, kv_->Match(*a, text));
  kv_->Attach(*b, text, {});
  ASSERT_TRUE(kv_->Reserve(*a, 33) && kv_->Reserve(*b, 33));
  EXPECT_EQ(kv_->pool(0).num_used(), 6);
  kv_->Commit(*a, text, 33);
  kv_->Commit(*b, text, 33);
  EXPECT_EQ(kv_->pool(0).num_used(), 4);
  EXPECT_EQ(a->table(0)[0], b->table(0)[0]);
  ExpectSound();
}

TEST_F(KvCacheManagerTest, ReserveIsAllOrNothing) {
  Make({{0, 10}, {32, 6}});
  const auto text = Text(200);
  auto a = kv_->NewSequence(0, true);
  kv_->Attach(*a, text, kv_->Match(*a, text));
  EXPECT_FALSE(kv_->Reserve(*a, 7 * 16));  // the window has 6
  EXPECT_EQ(kv_->pool(0).num_used() + kv_->pool(1).num_used(), 0);
  EXPECT_EQ(kv_->Reservable(*a, 200), 96);
  EXPECT_TRUE(kv_->Reserve(*a, 96));
  EXPECT_FALSE(kv_->Reserve(*a, 97));
  kv_->Rollback(*a);
  EXPECT_EQ(kv_->pool(0).num_used() + kv_->pool(1).num_used(), 0);
  ExpectSound();
}

TEST_F(KvCacheManagerTest, EvictsLeastRecentlyUsedLeavesFirst) {
  Make({{0, 8}});
  Compute(Text(48, 0)).reset();     // 3 blocks
  Compute(Text(48, 1000)).reset();  // 3 blocks
  Compute(Text(48, 0)).reset();     // the first one is used again
  Compute(Text(64, 2000)).reset();  // 4 blocks: 2 free, 2 must go
  EXPECT_EQ(Cached(Text(48 + 1, 0)), 48);
  EXPECT_EQ(Cached(Text(48 + 1, 1000)), 16);  // lost its tail, kept its front
  EXPECT_EQ(kv_->num_evictions(), 2);
  ExpectSound();
}

TEST_F(KvCacheManagerTest, WhatIsHeldIsNeverEvicted) {
  Make({{0, 8}});
  auto a = Compute(Text(64));
  auto b = kv_->NewSequence(0, true);
  const auto other = Text(100, 500);
  kv_->Attach(*b, other, kv_->Match(*b, other));
  EXPECT_TRUE(kv_->Reserve(*b, 64));
  EXPECT_FALSE(kv_->Reserve(*b, 65));
  a.reset();
  EXPECT_TRUE(kv_->Reserve(*b, 65));
  ExpectSound();
}

TEST_F(KvCacheManagerTest, AWindowLetsGoAndThePrefixStaysReusable) {
  Make({{0, 20}, {32, 20}});
  const auto text = Text(160);
  auto a = Compute(text);
  // Position 160 sees 129 .. 160: blocks 8 and 9.
  EXPECT_EQ(a->table(1).first(), 8);
  EXPECT_EQ(a->table(1).num_held(), 2);
  EXPECT_EQ(a->table(0).num_held(), 10);
  EXPECT_EQ(kv_->pool(1).num_cached(), 8);
  EXPECT_EQ(Cached(Text(161)), 160);
  EXPECT_EQ(Cached(Text(81)), 80);  // what lies behind the window is still cached
}

TEST_F(KvCacheManagerTest, AMatchEndsWhereEveryGroupHasItsBlocks) {
  Make({{0, 40}, {32, 6}});
  // Computed in chunks, as a small window pool wants it.
  const auto text = Text(160);
  auto a = kv_->NewSequence(0, true);
  kv_->Attach(*a, text, kv_->Match(*a, text));
  for (int64_t done = 0; done < 160;) {
    const int64_t next = kv_->Reservable(*a, 160);
    ASSERT_GT(next, done);
    ASSERT_TRUE(kv_->Reserve(*a, next));
    kv_->Commit(*a, text, next);
    done = next;
    ExpectSound();
  }
  // The window pool's 6 blocks hold positions 64 .. 159 only.
  EXPECT_EQ(Cached(Text(161)), 160);
  EXPECT_EQ(Cached(Text(113)), 112);
  EXPECT_EQ(Cached(Text(81)), 0);  // block 4 is there, block 3 is not: nothing whole to stand on
  // Computing the front again heals it, and the full blocks are not stored twice.
  const int used = kv_->pool(0).num_used() + kv_->pool(0).num_cached();
  a.reset();
  Compute(Text(80)).reset();
  EXPECT_EQ(Cached(Text(81)), 80);
  EXPECT_EQ(kv_->pool(0).num_used() + kv_->pool(0).num_cached(), used);
  ExpectSound();
}

TEST_F(KvCacheManagerTest, AModelOfWindowsOnlyKeepsNoEmptyNodes) {
  Make({{32, 6}});
  for (TokenId start : {0, 1000, 2000, 3000}) {
    const auto text = Text(160, start);
    auto a = kv_->NewSequence(0, true);
    kv_->Attach(*a, text, kv_->Match(*a, text));
    while (a->num_computed() < 160) {
      const int64_t next = kv_->Reservable(*a, 160);
      ASSERT_TRUE(kv_->Reserve(*a, next));
      kv_->Commit(*a, text, next);
      ExpectSound();
    }
  }
  ExpectSound();
  EXPECT_EQ(Cached(Text(161, 3000)), 160);
  EXPECT_EQ(Cached(Text(161, 0)), 0);
  EXPECT_LE(kv_->tree().num_nodes(), 10);
}

TEST_F(KvCacheManagerTest, AnnouncedBlocksAreWorthAWait) {
  Make({{0, 40}});
  const auto text = Text(100);
  auto a = kv_->NewSequence(0, true);
  auto b = kv_->NewSequence(0, true);
  auto stranger = kv_->NewSequence(0, true);
  auto other_ns = kv_->NewSequence(5, true);
  EXPECT_FALSE(kv_->Match(*b, text).pending);
  kv_->Attach(*a, text, kv_->Match(*a, text));
  EXPECT_TRUE(kv_->Match(*b, text).pending);
  EXPECT_FALSE(kv_->Match(*stranger, Text(100, 1)).pending);
  EXPECT_FALSE(kv_->Match(*other_ns, text).pending);
  // Two blocks in common, and these are there after the first chunk.
  auto fork = text;
  fork[40] = 9;
  auto f = kv_->NewSequence(0, true);
  EXPECT_TRUE(kv_->Match(*f, fork).pending);
  ASSERT_TRUE(kv_->Reserve(*a, 40));
  kv_->Commit(*a, text, 40);
  PrefixMatch match = kv_->Match(*f, fork);
  EXPECT_FALSE(match.pending);
  EXPECT_EQ(match.num_tokens(), 32);
  EXPECT_TRUE(kv_->Match(*b, text).pending);
  // Whoever announced it is gone: nobody waits.
  a.reset();
  match = kv_->Match(*b, text);
  EXPECT_FALSE(match.pending);
  EXPECT_EQ(match.num_tokens(), 32);
  ExpectSound();
}

TEST_F(KvCacheManagerTest, SequencesThatDoNotCacheNeitherReadNorFeed) {
  Make({{0, 40}});
  auto a = kv_->NewSequence(0, false);
  const auto text = Text(100);
  kv_->Attach(*a, text, kv_->Match(*a, text));
  ASSERT_TRUE(kv_->Reserve(*a, 100));
  kv_->Commit(*a, text, 100);
  EXPECT_EQ(kv_->tree().num_nodes(), 0);
  a.reset();
  EXPECT_EQ(kv_->pool(0).num_free(), 40);
  Compute(text).reset();
  auto b = kv_->NewSequence(0, false);
  EXPECT_EQ(kv_->Match(*b, text).num_tokens(), 0);
}

TEST_F(KvCacheManagerTest, CanAdmitCountsCachedBlocksOnce) {
  Make({{0, 10}});
  Compute(Text(80)).reset();  // 5 cached, 5 free
  auto a = kv_->NewSequence(0, true);
  const auto text = Text(160);
  const PrefixMatch match = kv_->Match(*a, text);
  ASSERT_EQ(match.num_blocks, 5);
  EXPECT_TRUE(kv_->CanAdmit(match, 160, {}));
  const int64_t promised[] = {1};
  EXPECT_FALSE(kv_->CanAdmit(match, 160, promised));
  EXPECT_TRUE(kv_->CanAdmit(match, 144, promised));
  EXPECT_FALSE(kv_->CanAdmit(match, 161, {}));
}

TEST_F(KvCacheManagerTest, TheSnapshotShowsRunsAndForks) {
  Make({{0, 40}});
  kv_->set_now_ms(1000);
  auto a = Compute(Text(100));
  auto fork = Text(100);
  fork[50] = 1;
  Compute(fork).reset();
  kv_->set_now_ms(1500);
  const KvSnapshot s = kv_->Snapshot(100);
  ASSERT_EQ(s.runs.size(), 3u);  // the common front, and two tails
  EXPECT_EQ(s.runs[0].num_tokens, 48);
  EXPECT_EQ(s.runs[0].sequences, 1);
  EXPECT_EQ(s.runs[0].hits, 1);
  EXPECT_EQ(s.runs[0].idle_ms, 500);
  EXPECT_EQ(s.runs[1].num_tokens + s.runs[2].num_tokens, 96);
  EXPECT_EQ(s.runs[1].parent, 0);
  EXPECT_EQ(s.runs[2].parent, 0);
  EXPECT_EQ(s.stats.groups[0].total, 40);
  EXPECT_EQ(s.stats.groups[0].free + s.stats.groups[0].cached + s.stats.groups[0].used, 40);
}

TEST_F(KvCacheManagerTest, ABoundedSnapshotHasWhatWasUsedLastAndItsParents) {
  Make({{0, 100}});
  Compute(Text(100)).reset();
  auto fork = Text(100);
  fork[50] = 1;
  for (int i = 0; i < 5; ++i) {
    kv_->set_now_ms(1000 * (i + 1));
    Compute(Text(40, static_cast<TokenId>(100 * i + 300))).reset();
  }
  kv_->set_now_ms(9000);
  Compute(fork).reset();
  EXPECT_EQ(kv_->Snapshot(100).runs.size(), 8u);
  const KvSnapshot s = kv_->Snapshot(3);
  EXPECT_EQ(s.runs_left_out, 5);
  ASSERT_EQ(s.runs.size(), 3u);
  EXPECT_EQ(s.runs[0].num_tokens, 48);  // the front of the fork, then its tail
  EXPECT_EQ(s.runs[0].parent, -1);
  EXPECT_EQ(s.runs[1].start_token, 48);
  EXPECT_EQ(s.runs[1].parent, 0);
  EXPECT_EQ(s.runs[1].idle_ms, 0);
  EXPECT_EQ(s.runs[2].idle_ms, 4000);
}

TEST_F(KvCacheManagerTest, DropCachedSparesWhatIsHeld) {
  for (auto groups : {std::vector<KvGroupConfig>{{0, 40}}, {{0, 40}, {32, 20}}, {{64, 20}}}) {
    Make(groups);
    auto a = Compute(Text(64));
    Compute(Text(64, 500)).reset();
    kv_->DropCached();
    ExpectSound();
    EXPECT_EQ(Cached(Text(65)), 64);
    EXPECT_EQ(Cached(Text(65, 500)), 0);
    a.reset();
    kv_->DropCached();
    ExpectSound();
    EXPECT_EQ(kv_->tree().num_nodes(), 0);
    EXPECT_EQ(kv_->pool(0).num_free(), kv_->pool(0).size());
  }
}

TEST_F(KvCacheManagerTest, TheCheckerSeesALostReference) {
  // The invariant checker must be able to fail: steal a block behind the manager's back.
  Make({{0, 8}});
  auto a = Compute(Text(40));
  auto& pool = const_cast<BlockPool&>(kv_->pool(0));
  pool.AddRef(a->table(0)[0]);
  EXPECT_FALSE(kv_->CheckInvariants().has_value());
  pool.Release(a->table(0)[0]);
  ExpectSound();
}

}  // namespace
}  // namespace lb::kv

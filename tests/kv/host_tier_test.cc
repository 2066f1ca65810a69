// Proves the rules of the host tier one by one: what goes there and in which order, what comes back and what that costs, and who
// loses what by a fault. The books as a whole are model_test's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "kv/kv_cache_manager.h"

namespace lb::kv {
namespace {

using Kind = Transfer::Kind;

std::vector<TokenId> Text(int n, TokenId start) {
  std::vector<TokenId> t(static_cast<size_t>(n));
  std::iota(t.begin(), t.end(), start);
  return t;
}

class KvHostTierTest : public testing::Test {
 protected:
  void Make(int blocks, int slots, int groups = 1) {
    KvCacheConfig config;
    config.groups.assign(static_cast<size_t>(groups), {0, blocks});
    config.host_slots = slots;
    kv_ = std::move(*KvCacheManager::Create(config));
  }
  std::unique_ptr<SequenceKv> Compute(const std::vector<TokenId>& tokens) {
    auto s = kv_->NewSequence(0, true);
    const PrefixMatch match = kv_->Match(*s, tokens);
    EXPECT_TRUE(kv_->CanAdmit(match, static_cast<int64_t>(tokens.size()), {}));
    kv_->Attach(*s, tokens, match);
    EXPECT_TRUE(kv_->Reserve(*s, static_cast<int64_t>(tokens.size())));
    kv_->Commit(*s, tokens, static_cast<int64_t>(tokens.size()));
    ExpectSound();
    return s;
  }
  // A sequence with what there is of `tokens`, and no room yet for more.
  std::unique_ptr<SequenceKv> Attach(const std::vector<TokenId>& tokens) {
    auto s = kv_->NewSequence(0, true);
    kv_->Attach(*s, tokens, kv_->Match(*s, tokens));
    ExpectSound();
    return s;
  }
  PrefixMatch Match(const std::vector<TokenId>& tokens) {
    auto s = kv_->NewSequence(0, true);
    return kv_->Match(*s, tokens);
  }
  void ExpectSound() {
    const auto sound = kv_->CheckInvariants();
    EXPECT_TRUE(sound.has_value()) << sound.error().message;
  }
  static std::vector<Kind> Kinds(const std::vector<Transfer>& list) {
    std::vector<Kind> kinds;
    for (const Transfer& t : list) kinds.push_back(t.kind);
    return kinds;
  }

  std::unique_ptr<KvCacheManager> kv_;
};

TEST_F(KvHostTierTest, WindowsAloneHaveNone) {
  KvCacheConfig config;
  config.groups = {{16, 10}, {32, 10}};
  config.host_slots = 1;
  EXPECT_FALSE(KvCacheManager::Create(config).has_value());
  config.groups[0].window = 0;
  EXPECT_TRUE(KvCacheManager::Create(config).has_value());
}

TEST_F(KvHostTierTest, OfAWindowComesBackWhatIsSeen) {
  KvCacheConfig config;
  config.groups = {{0, 8}, {32, 8}};
  config.host_slots = 20;
  kv_ = std::move(*KvCacheManager::Create(config));
  Compute(Text(128, 0)).reset();
  Compute(Text(128, 500)).reset();
  const auto saved = kv_->TakeTransfers();
  EXPECT_EQ(Kinds(saved), std::vector<Kind>(8, Kind::kSave));
  for (const Transfer& t : saved) EXPECT_NE(t.blocks[1], kNoBlock);
  // Of 96 tokens the next sees two blocks of the window.
  auto s = Attach(Text(97, 0));
  EXPECT_EQ(s->num_computed(), 96);
  int full = 0, window = 0;
  for (const Transfer& t : kv_->TakeTransfers()) {
    if (t.kind != Kind::kLoad) continue;
    full += t.blocks[0] != kNoBlock;
    window += t.blocks[1] != kNoBlock;
  }
  EXPECT_EQ(full, 6);
  EXPECT_EQ(window, 2);
  EXPECT_EQ(s->table(1).num_held(), 2);
  s.reset();
  // What was behind it did not come along: nothing can go on from there, but from the end, and from what stayed on the host.
  EXPECT_EQ(Match(Text(65, 0)).num_blocks, 0);
  EXPECT_EQ(Match(Text(97, 0)).num_blocks, 6);
  EXPECT_EQ(Match(Text(97, 0)).num_host, 0);
  PrefixMatch whole = Match(Text(129, 0));
  EXPECT_EQ(whole.num_blocks, 8);
  EXPECT_EQ(whole.num_host, 2);
  whole.LeaveOutHost();
  EXPECT_EQ(whole.num_blocks, 6);
}

TEST_F(KvHostTierTest, TheTailGoesFirstAndComesBackLast) {
  Make(4, 10);
  Compute(Text(64, 0)).reset();
  EXPECT_TRUE(kv_->TakeTransfers().empty());
  auto other = Compute(Text(32, 500));  // two blocks of the first must go
  const auto saved = kv_->TakeTransfers();
  EXPECT_EQ(Kinds(saved), (std::vector{Kind::kSave, Kind::kSave}));
  const PrefixMatch match = Match(Text(65, 0));
  EXPECT_EQ(match.num_blocks, 4);
  EXPECT_EQ(match.num_host, 2);
  // There are two blocks: those of the front, which would be held.
  EXPECT_FALSE(kv_->CanAdmit(match, 65, {}));
  PrefixMatch front = match;
  front.LeaveOutHost();
  EXPECT_EQ(front.num_blocks, 2);
  EXPECT_EQ(front.path.size(), 2u);
  other.reset();
  Compute(Text(64, 0)).reset();  // 48 tokens of it, since the last is computed: three blocks, of which one is loaded
  const auto moved = kv_->TakeTransfers();
  // One for the loaded block, one for the block that is computed.
  EXPECT_EQ(Kinds(moved), (std::vector{Kind::kSave, Kind::kLoad, Kind::kSave}));
  EXPECT_EQ(moved[1].slot, saved[1].slot);  // of the node nearer to the front
  EXPECT_EQ(kv_->host_stats().loaded, 1);
  EXPECT_EQ(kv_->host_stats().kept, 2);  // the slots of what was loaded and of what was computed are free
}

TEST_F(KvHostTierTest, WhatIsSavedForALoadStandsBeforeIt) {
  Make(4, 10, 2);
  Compute(Text(64, 0)).reset();
  Compute(Text(64, 500)).reset();
  kv_->TakeTransfers();
  auto s = Attach(Text(65, 0));
  const auto list = kv_->TakeTransfers();
  EXPECT_EQ(Kinds(list), (std::vector{Kind::kSave, Kind::kSave, Kind::kSave, Kind::kSave, Kind::kLoad, Kind::kLoad, Kind::kLoad, Kind::kLoad}));
  EXPECT_EQ(IndependentTransfers(list), 4u);
  EXPECT_EQ(IndependentTransfers(std::span(list).subspan(4)), 4u);
  for (size_t i = 0; i < 4; ++i) {
    for (int g = 0; g < 2; ++g) EXPECT_EQ(list[4 + i].blocks[static_cast<size_t>(g)], s->table(g)[static_cast<int>(i)]);
  }
}

TEST_F(KvHostTierTest, ASlotThatIsReadIsNotTaken) {
  Make(4, 4);  // as many slots as one text fills
  Compute(Text(64, 0)).reset();
  Compute(Text(64, 500)).reset();
  kv_->TakeTransfers();
  auto s = Attach(Text(65, 0));
  EXPECT_EQ(s->num_computed(), 64);
  EXPECT_EQ(Kinds(kv_->TakeTransfers()), std::vector<Kind>(4, Kind::kLoad));  // nowhere to save the other
  EXPECT_EQ(Match(Text(65, 500)).num_blocks, 0);
}

TEST_F(KvHostTierTest, TheOldestOnTheHostGoesForGood) {
  Make(2, 3);
  for (TokenId start : {0, 500, 1000}) Compute(Text(32, start)).reset();
  EXPECT_EQ(kv_->host_stats().evictions, 1);
  EXPECT_EQ(Match(Text(33, 0)).num_blocks, 1);  // its tail went
  EXPECT_EQ(Match(Text(33, 500)).num_blocks, 2);
}

TEST_F(KvHostTierTest, AFaultTakesWhatItSpoiledAndAllBehindIt) {
  Make(6, 10);
  Compute(Text(96, 0)).reset();
  Compute(Text(96, 500)).reset();
  kv_->TakeTransfers();
  auto loser = Attach(Text(49, 0));
  auto other = Compute(Text(33, 500));  // shares what is still in the pool
  const auto failed = kv_->TakeTransfers();
  EXPECT_TRUE(kv_->Holds(*loser, failed));
  EXPECT_FALSE(kv_->Holds(*other, failed));
  loser.reset();
  kv_->Discard(failed);
  ExpectSound();
  EXPECT_EQ(Match(Text(97, 0)).num_blocks, 0);    // the rest was on the host, behind what was lost
  EXPECT_EQ(Match(Text(97, 500)).num_blocks, 2);  // those that `other` holds; four were on their way to the host
}

TEST_F(KvHostTierTest, DroppingLeavesNothing) {
  Make(4, 10);
  Compute(Text(64, 0)).reset();
  Compute(Text(48, 500)).reset();
  kv_->DropCached();
  ExpectSound();
  EXPECT_EQ(kv_->tree().num_nodes(), 0);
  EXPECT_EQ(kv_->host_stats().free, 10);
  EXPECT_THAT(kv_->Stats().ToString(), testing::HasSubstr("; host free=10 kept=0 of 10 saved=3 loaded=0"));
}

TEST_F(KvHostTierTest, APictureShowsWhereTheTokensAre) {
  Make(4, 10);
  Compute(Text(64, 0)).reset();
  auto other = Compute(Text(32, 500));
  const KvSnapshot snapshot = kv_->Snapshot(10);
  ASSERT_EQ(snapshot.runs.size(), 2u);
  for (const KvRun& run : snapshot.runs) {
    EXPECT_EQ(run.num_tokens, run.sequences == 0 ? 64 : 32);
    EXPECT_EQ(run.host_tokens, run.sequences == 0 ? 32 : 0);
  }
  EXPECT_EQ(snapshot.stats.host.kept, 2);
}

TEST(TransferTest, NoTwoOfARunGoToOnePlace) {
  const auto transfer = [](Kind kind, int slot, int block) {
    return Transfer{kind, BlockId(slot), {BlockId(block), BlockId(block + 100), kNoBlock, kNoBlock}};
  };
  EXPECT_EQ(IndependentTransfers({}), 0u);
  const Transfer saves[] = {transfer(Kind::kSave, 1, 1), transfer(Kind::kSave, 2, 1), transfer(Kind::kSave, 1, 2)};
  EXPECT_EQ(IndependentTransfers(saves), 2u);
  const Transfer loads[] = {transfer(Kind::kLoad, 1, 1), transfer(Kind::kLoad, 1, 2), transfer(Kind::kLoad, 3, 2)};
  EXPECT_EQ(IndependentTransfers(loads), 2u);
  // In one group the same block is enough; of two groups the same number says nothing.
  Transfer half = transfer(Kind::kLoad, 4, 3);
  half.blocks[1] = loads[0].blocks[1];
  const Transfer meet[] = {loads[0], half};
  EXPECT_EQ(IndependentTransfers(meet), 1u);
  half.blocks = {loads[0].blocks[1], loads[0].blocks[0], kNoBlock, kNoBlock};
  const Transfer cross[] = {loads[0], half};
  EXPECT_EQ(IndependentTransfers(cross), 2u);
  const Transfer turns[] = {loads[0], saves[1]};
  EXPECT_EQ(IndependentTransfers(turns), 1u);
}

}  // namespace
}  // namespace lb::kv

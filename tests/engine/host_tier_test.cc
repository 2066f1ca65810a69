// Proves the host tier through the whole engine: what was evicted comes back with the bytes it had, costs no forward pass, and is
// counted; a fault on its way is the fault of those that wanted it and of nobody else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "kernels/backends.h"
#include "kernels/split_ops.h"
#include "tests/engine/engine_fixture.h"
#include "tests/engine/tiered_engine.h"

namespace lb {
namespace {

using test::Answer;

class HostTierTest : public test::EngineTest {
 protected:
  // A pool of one request, and what five of them leave behind on the host.
  void StartTiered(int host_slots = 50, std::vector<int> windows = {0}) {
    EngineConfig config;
    config.host_slots = host_slots;
    Start(std::move(windows), 10, 160, config);
  }
  Request Prompt(uint64_t seed) { return Greedy(Tokens(130, seed), 12); }
  // An answer as the model alone gives it; how many tokens were computed for it.
  int64_t AskRight(uint64_t seed, int cached) {
    const int64_t before = runner_->tokens_computed;
    auto client = Send(Prompt(seed));
    RunAll({client.get()});
    ExpectAlone(*client);
    EXPECT_EQ(client->answer.cached(), cached) << seed;
    return runner_->tokens_computed - before;
  }
};

TEST_F(HostTierTest, WhatWasEvictedComesBack) {
  for (const std::vector<int>& windows : {std::vector<int>{0}, {0, 0}}) {
    StartTiered(50, windows);
    for (uint64_t seed : {1, 2, 3}) EXPECT_EQ(AskRight(seed, 0), 141);
    for (uint64_t seed : {1, 2, 3, 1}) EXPECT_EQ(AskRight(seed, 128), 13);
    const EngineStats stats = engine_->Stats();
    EXPECT_EQ(stats.host.slots, 50);
    EXPECT_EQ(stats.host.free + stats.host.kept, 50);
    EXPECT_GE(stats.host.kept, 15);
    EXPECT_GE(stats.host.loaded, 28);  // some of each prompt may still be in the pool
    EXPECT_EQ(stats.host.evictions, 0);
    EXPECT_EQ(stats.cached_prompt_tokens, 4 * 128);
  }
}

TEST_F(HostTierTest, WithoutItAllIsComputedAgain) {
  StartTiered(0);
  for (uint64_t seed : {1, 2, 3}) AskRight(seed, 0);
  EXPECT_GT(AskRight(1, 0), 100);
  EXPECT_EQ(engine_->Stats().host.saved, 0);
}

TEST_F(HostTierTest, AFullTierKeepsWhatWasUsedLast) {
  StartTiered(20);
  for (uint64_t seed : {1, 2, 3, 4}) AskRight(seed, 0);
  EXPECT_EQ(engine_->Stats().host.kept, 20);
  EXPECT_GT(engine_->Stats().host.evictions, 0);
  AskRight(3, 128);
  AskRight(1, 0);
}

TEST_F(HostTierTest, OneBranchComesBackBehindASharedFront) {
  StartTiered();
  const auto fork = [&](uint64_t seed) {
    std::vector<TokenId> prompt = Tokens(64, 7);
    for (TokenId t : Tokens(60, seed)) prompt.push_back(t);
    return Greedy(prompt, 8);
  };
  EXPECT_EQ(Ask(fork(1)).cached(), 0);
  EXPECT_EQ(Ask(fork(2)).cached(), 64);
  AskRight(5, 0);
  EXPECT_EQ(Ask(fork(1)).cached(), 112);
  EXPECT_EQ(Ask(fork(2)).cached(), 112);
}

TEST_F(HostTierTest, WindowsAloneHaveNoTier) {
  EngineConfig config;
  config.kv_groups = {{64, 20}, {32, 20}};
  config.max_request_tokens = 100;
  config.host_slots = 5;
  const auto engine = Engine::Create(config, std::make_unique<test::FakeRunner>(std::vector<int>{64, 32}, std::vector<int>{20, 20}, 5), &clock_);
  ASSERT_FALSE(engine.has_value());
  EXPECT_THAT(engine.error().message, testing::HasSubstr("sliding windows"));
}

TEST_F(HostTierTest, AFailedMoveFailsWhoNeededIt) {
  EngineConfig config;
  config.host_slots = 60;
  Start({0}, 24, 300, config);
  for (uint64_t seed : {1, 2, 3}) AskRight(seed, 0);
  auto other = Send(Greedy(Tokens(60, 9), 100));
  while (other->answer.tokens.size() < 5) {
    Step();
    other->Read();
  }
  int num_moves = 0;
  runner_->fail_move = [&] { return ++num_moves == 1; };
  // They hold the same blocks.
  auto one = Send(Prompt(1)), same = Send(Prompt(1));
  Step();
  ASSERT_EQ(num_moves, 1);
  for (auto* c : {one.get(), same.get()}) {
    c->Read();
    ASSERT_TRUE(c->answer.ended());
    EXPECT_EQ(c->answer.end().kind, TokenEvent::Kind::kFailed);
    EXPECT_EQ(c->answer.end().error.code, ErrorCode::kComputeFault);
    EXPECT_THAT(c->answer.end().error.message, testing::HasSubstr("bus"));
  }
  const size_t answered = other->answer.tokens.size();
  other->Read();
  EXPECT_EQ(other->answer.tokens.size(), answered + 1);  // in this very step
  RunAll({other.get()});
  ExpectAlone(*other);
  EXPECT_EQ(engine_->Stats().failed, 2);
  // What was lost is computed, and what came after it is as any other.
  auto again = Send(Prompt(1));
  RunAll({again.get()});
  ExpectAlone(*again);
}

TEST_F(HostTierTest, AFailedSaveFailsNobody) {
  StartTiered();
  AskRight(1, 0);
  runner_->fail_move = [] { return true; };
  AskRight(2, 0);
  runner_->fail_move = nullptr;
  EXPECT_EQ(engine_->Stats().failed, 0);
  EXPECT_GT(engine_->Stats().host.saved, 5);
  EXPECT_EQ(engine_->Stats().host.kept, 0);  // none of it came to the host
  AskRight(1, 16);                           // what the pool still had
}

TEST_F(HostTierTest, AFailedPassTakesItsMovesWithIt) {
  StartTiered();
  for (uint64_t seed : {1, 2}) AskRight(seed, 0);
  runner_->fail = [](const ForwardBatch&) { return true; };
  const Answer lost = Ask(Prompt(1));
  EXPECT_EQ(lost.end().kind, TokenEvent::Kind::kFailed);
  runner_->fail = nullptr;
  EXPECT_EQ(engine_->Stats().host.kept, 0);
  AskRight(1, 16);  // what never left the pool
  AskRight(2, 16);  // the rest was on its way to the host
}

TEST_F(HostTierTest, OnRealModelsBytesAreAsComputed) {
  test::ExpectReloadedIsAsComputed(*MakeRefOps(), DType::kF16);
  for (const DType dtype : {DType::kF16, DType::kQ8_0}) {
    for (const char* arch : {"llama", "gemma3"}) test::ExpectReloadedIsAsComputed(**MakeCpuOps({}), dtype, arch);
  }
  // Layers of two backends.
  std::vector<std::unique_ptr<Ops>> parts;
  for (int i = 0; i < 2; ++i) parts.push_back(MakeRefOps());
  SplitOps split(std::move(parts), {0, 2}, 3);
  test::ExpectReloadedIsAsComputed(split, DType::kF16);
}

// Two groups, whose keys and values are of different types.
TEST_F(HostTierTest, TheRunnerMovesWholeBlocks) {
  class TwoGroups final : public Model {
   public:
    TwoGroups() {
      config_.num_layers = 3;
      config_.num_kv_heads = {1, 2, 3};
      config_.k_dim = config_.v_dim = 32;
      config_.vocab_size = 10;
      config_.kv_groups = {{0, {0, 2}}, {0, {1}}};
    }
    void Forward(Ops&, const ForwardBatch&, KvLayers, Arena&, const ForwardOutput&) const override {}
    size_t ArenaBytes(int, int) const override { return 64; }
  };
  const TwoGroups model;
  const auto ops = MakeRefOps();
  RunnerConfig config;
  config.group_blocks = {6, 7};
  config.host_slots = 4;
  config.k_dtype = DType::kQ8_0;
  config.v_dtype = DType::kF32;
  const auto runner = std::move(MakeModelRunner(model, *ops, config)).value();
  std::mt19937 rng(1);
  std::vector<std::vector<std::vector<std::byte>>> blocks(2);
  for (int g = 0; g < 2; ++g) {
    for (int b = 0; b < config.group_blocks[static_cast<size_t>(g)]; ++b) {
      auto& bytes = blocks[static_cast<size_t>(g)].emplace_back(runner->BlockBytes(g));
      for (std::byte& x : bytes) x = static_cast<std::byte>(rng());
      runner->WriteBlock(g, b, bytes.data());
    }
  }
  using kv::BlockId;
  const auto transfer = [](kv::Transfer::Kind kind, int slot, int first, int second) {
    return kv::Transfer{kind, BlockId(slot), {BlockId(first), BlockId(second), kv::kNoBlock, kv::kNoBlock}};
  };
  constexpr auto kSave = kv::Transfer::Kind::kSave, kLoad = kv::Transfer::Kind::kLoad;
  // Each reads what the one before left, or writes over what it read.
  const kv::Transfer list[] = {transfer(kSave, 3, 0, 6), transfer(kSave, 1, 5, 2), transfer(kLoad, 3, 5, 2), transfer(kLoad, 1, 2, 2),
                               transfer(kSave, 3, 2, 2)};
  ASSERT_TRUE(runner->Move(list).has_value());
  const kv::Transfer last[] = {transfer(kLoad, 3, 4, 4)};
  ASSERT_TRUE(runner->Move(last).has_value());
  const auto expect = [&](int g, int block, int was) {
    std::vector<std::byte> bytes(runner->BlockBytes(g));
    runner->ReadBlock(g, block, bytes.data());
    EXPECT_TRUE(bytes == blocks[static_cast<size_t>(g)][static_cast<size_t>(was)]) << g << " " << block;
  };
  const int first[] = {0, 1, 5, 3, 5, 0}, second[] = {0, 1, 2, 3, 2, 5, 6};
  for (int b = 0; b < 6; ++b) expect(0, b, first[b]);
  for (int b = 0; b < 7; ++b) expect(1, b, second[b]);
}

}  // namespace
}  // namespace lb

// Proves that requests of different adapters or scales share a batch and never a cached block, in any
// order; that a set finds its own prompts again, after a restart only that of the start; and that what
// names no adapter is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <set>

#include "engine/adapter_namespaces.h"
#include "tests/engine/engine_fixture.h"

namespace lb {
namespace {

using Uses = std::vector<AdapterUse>;

class AdaptersTest : public test::EngineTest {
 protected:
  static EngineConfig Three() {
    EngineConfig config;
    config.num_adapters = 3;
    config.start_adapters = {{0, 1.0f}};
    return config;
  }
  static Request With(const Uses& uses, int64_t max_tokens = 12) {
    Request r = Greedy(Tokens(100, 7), max_tokens);
    r.adapters = uses;
    return r;
  }
  const std::vector<Uses> sets_ = {{},           {{0, 1.0f}}, {{1, 1.0f}},
                                   {{0, 0.5f}},  {{0, 1.0f}, {1, 1.0f}}, {{2, -3.0f}}};
};

TEST_F(AdaptersTest, ASetReusesItsOwnAndNothingElse) {
  Start({0, 40}, 200, 400, Three());
  for (const int round : {0, 1}) {
    for (size_t i = 0; i < sets_.size(); ++i) {
      const auto client = Send(With(sets_[round == 0 ? i : sets_.size() - 1 - i]));
      RunAll({client.get()});
      ExpectAlone(*client);
      EXPECT_EQ(client->answer.cached(), round == 0 ? 0 : 96);
    }
  }
}

TEST_F(AdaptersTest, AllAtOnceAnswersAsAlone) {
  for (const int blocks : {200, 26}) {  // in the second most of them wait
    EngineConfig config = Three();
    config.lookup_min_match = 1;
    config.max_step_drafts = 16;
    Start({0, 40}, blocks, 400, config);
    std::vector<std::unique_ptr<test::Client>> clients;
    std::vector<test::Client*> all;
    for (int i = 0; i < 24; ++i) {
      Request r = With(sets_[static_cast<size_t>(i * 5) % sets_.size()], 60);
      if (i % 3 == 0) r.sampling.logit_bias = {{7, 40.0f}};  // repeats itself: guesses are right
      if (i % 4 == 1) r.context_shift = true;
      clients.push_back(Send(std::move(r)));
      all.push_back(clients.back().get());
    }
    RunAll(all);
    for (const auto& client : clients) ExpectAlone(*client);
    EXPECT_GT(runner_->most_sequences, blocks == 26 ? 1 : 8);
  }
}

TEST_F(AdaptersTest, AFullTableOfSetsForgetsAndMixesNothing) {
  Start({0}, 64, 400, Three());
  AdapterNamespaces names({{0, 1.0f}});
  EXPECT_EQ(names.Of(0, {}), 0u);
  EXPECT_EQ(names.Of(5, {}), 5u);
  const Uses start = {{0, 1.0f}};
  EXPECT_EQ(names.Of(0, start), AdapterNamespaces::kStart);
  EXPECT_NE(names.Of(5, start), AdapterNamespaces::kStart);
  std::set<uint64_t> seen = {AdapterNamespaces::kStart, names.Of(5, start)};
  for (int i = 1; i <= 10'000; ++i) {
    const Uses uses = {{1, static_cast<float>(i)}};
    const uint64_t name = names.Of(0, uses);
    EXPECT_TRUE(seen.insert(name).second);
    EXPECT_EQ(names.Of(0, uses), name);
  }
}

TEST_F(AdaptersTest, ARestartFindsTheStartingSetAgain) {
  const std::string path = testing::TempDir() + "adapters_" + std::to_string(::getpid());
  Start({0, 40}, 200, 400, Three());
  for (const Uses& uses : sets_) Ask(With(uses));
  ASSERT_TRUE(engine_->SavePromptCache(path, "model").has_value());
  Start({0, 40}, 200, 400, Three());
  ASSERT_TRUE(engine_->LoadPromptCache(path, "model").has_value());
  std::filesystem::remove(path);
  for (size_t i = 0; i < sets_.size(); ++i) {
    const auto client = Send(With(sets_[i]));
    RunAll({client.get()});
    ExpectAlone(*client);
    EXPECT_EQ(client->answer.cached(), i < 2 ? 96 : 0) << i;
  }
}

TEST_F(AdaptersTest, WhatNamesNoAdapterIsRefused) {
  Start({0}, 64, 400, Three());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Uses& uses : {Uses{{3, 1}}, Uses{{-1, 1}}, Uses{{0, nan}}, Uses{{0, 0}},
                           Uses{{1, 1}, {0, 1}}, Uses{{1, 1}, {1, 2}}}) {
    const auto refused = engine_->Submit(With(uses));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(refused.error().message, testing::HasSubstr("there are 3"));
  }
  Start({0}, 64, 400);
  EXPECT_FALSE(engine_->Submit(With({{0, 1}})).has_value());
}

}  // namespace
}  // namespace lb

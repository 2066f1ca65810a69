// Proves what is guessed: the continuation of the longest and then latest earlier match, against a
// search by brute force; and that guesses, these and a draft model's, change no answer, only
// the number of steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "engine/lookup_draft.h"
#include "tests/engine/engine_fixture.h"

namespace lb {
namespace {

using Ids = std::vector<TokenId>;

Ids Guess(const Ids& tokens, int min_match, int most) {
  Ids draft;
  DraftByLookup(tokens, min_match, most, &draft);
  return draft;
}

TEST(LookupDraft, Examples) {
  EXPECT_EQ(Guess({1, 2, 3, 4, 9, 1, 2}, 2, 2), (Ids{3, 4}));
  EXPECT_EQ(Guess({1, 2, 3, 9, 1, 2}, 2, 5), (Ids{3, 9, 1, 2, 3}));
  EXPECT_EQ(Guess({1, 2, 5, 1, 2, 6, 1, 2}, 1, 1), (Ids{6}));        // the later one
  EXPECT_EQ(Guess({7, 1, 2, 5, 1, 2, 6, 7, 1, 2}, 1, 1), (Ids{5}));  // the longer one
  EXPECT_EQ(Guess({4, 4, 4, 4}, 2, 3), (Ids{4, 4, 4}));
  EXPECT_TRUE(Guess({1, 2, 3}, 1, 4).empty());
  EXPECT_TRUE(Guess({1}, 1, 4).empty());
  EXPECT_TRUE(Guess({}, 1, 4).empty());
  EXPECT_TRUE(Guess({1, 2, 3, 2}, 2, 4).empty());
}

TEST(LookupDraft, IsWhatBruteForceFinds) {
  std::mt19937 rng(5);
  for (int round = 0; round < 3000; ++round) {
    Ids tokens(rng() % 40);
    for (TokenId& t : tokens) t = static_cast<TokenId>(rng() % 4);
    const int min_match = 1 + static_cast<int>(rng() % 4), most = 1 + static_cast<int>(rng() % 6);
    const auto size = static_cast<int>(tokens.size());
    int best = 0, next = -1;
    for (int end = size - 1; end >= 1; --end) {
      int length = 0;
      while (length < std::min(end, kMaxLookupMatch) &&
             tokens[static_cast<size_t>(end - 1 - length)] ==
                 tokens[static_cast<size_t>(size - 1 - length)]) {
        ++length;
      }
      if (length >= min_match && length > best) best = length, next = end;
    }
    Ids wanted;
    Ids longer = tokens;
    for (int i = 0; next >= 0 && i < most; ++i) {
      wanted.push_back(longer[static_cast<size_t>(next + i)]);
      longer.push_back(wanted.back());
    }
    EXPECT_EQ(Guess(tokens, min_match, most), wanted);
  }
}

class SpeculationTest : public test::EngineTest {
 protected:
  // Nearly always the same token, so that guesses are right.
  static Request Monotonous(int prompt, int64_t max_tokens) {
    Request r = Greedy(Tokens(prompt, 3), max_tokens);
    r.sampling.logit_bias = {{7, 40.0f}, {9, 39.0f}};
    r.sampling.temperature = 0.8f;
    r.sampling.seed = 11;
    return r;
  }
  EngineConfig Speculating(int min_match) {
    EngineConfig config;
    config.lookup_min_match = min_match;
    config.max_draft = 8;
    config.max_step_drafts = 16;
    return config;
  }
};

TEST_F(SpeculationTest, FewerStepsForTheSameAnswer) {
  Start({0, 40}, 60, 400, Speculating(1));
  const auto client = Send(Monotonous(20, 200));
  RunAll({client.get()});
  ExpectAlone(*client);
  const Usage& usage = client->answer.end().usage;
  EXPECT_GT(usage.accepted_tokens, 60);
  EXPECT_GE(usage.drafted_tokens, usage.accepted_tokens);
  EXPECT_LT(engine_->Stats().steps, 160);
  EXPECT_EQ(engine_->Stats().accepted_tokens, usage.accepted_tokens);
  EXPECT_EQ(engine_->Stats().generated_tokens, 200);
}

TEST_F(SpeculationTest, ADraftModelGuessesToo) {
  for (const int draft_blocks : {60, 6}) {  // the second is too small for the whole answer
    Start({0, 40}, 60, 400, Speculating(0));
    ModelDrafterConfig config;
    config.kv_groups = {{0, draft_blocks}, {40, draft_blocks}};
    config.min_probability = 0;
    auto runner = std::make_unique<test::FakeRunner>(std::vector<int>{0, 40},
                                                     std::vector<int>{draft_blocks, draft_blocks});
    engine_->UseDrafter(std::move(*ModelDrafter::Create(config, std::move(runner))));
    // The same model: at temperature 0 each of its guesses is right.
    const auto client = Send(Greedy(Tokens(20, 3), 200));
    RunAll({client.get()});
    ExpectAlone(*client);
    const Usage& usage = client->answer.end().usage;
    EXPECT_GT(usage.accepted_tokens, draft_blocks == 60 ? 150 : 20);
    EXPECT_EQ(usage.accepted_tokens, usage.drafted_tokens);
    EXPECT_LT(engine_->Stats().steps, draft_blocks == 60 ? 50 : 200);
  }
}

TEST_F(SpeculationTest, NoTokenIsAnsweredBeyondTheLimitOrTheEnd) {
  Start({0}, 60, 64, Speculating(1));
  for (int64_t most = 1; most < 48; ++most) {
    const auto client = Send(Monotonous(16, most));
    RunAll({client.get()});
    ExpectAlone(*client);
  }
  Request stops = Monotonous(16, 40);
  stops.stop_ids = {9};
  const auto client = Send(stops);
  RunAll({client.get()});
  ExpectAlone(*client);
}

}  // namespace
}  // namespace lb

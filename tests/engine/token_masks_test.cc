// Proves that guided answers are the same whether whole rows of logits come from the runner or the best of what masks leave, beside
// others in the same step, and that a guide is asked once for each token.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/engine/engine_fixture.h"

namespace lb {
namespace {

using test::Client;
using test::Mix;

// Lets through what the tokens so far decide: a few, about half, or all.
class FromWhatCame final : public TokenGuide {
 public:
  std::span<const uint32_t> Allowed() override {
    EXPECT_FALSE(asked_) << "twice for one token";
    asked_ = true;
    if (state_ % 5 == 0) return {};
    const uint64_t bits = state_ % 2 == 0 ? Mix(state_) : Mix(state_) & Mix(state_ + 1) & Mix(state_ + 2);
    mask_ = {static_cast<uint32_t>(bits) | 1u << 5, static_cast<uint32_t>(bits >> 32)};
    return mask_;
  }
  void Take(TokenId token) override {
    EXPECT_TRUE(asked_) << "a token that nobody asked about";
    asked_ = false;
    state_ = Mix(state_ ^ static_cast<uint64_t>(token));
    ++taken;
  }
  int taken = 0;

 private:
  bool asked_ = false;
  uint64_t state_ = 1;
  std::vector<uint32_t> mask_;
};

// Nothing may follow the second token.
class StuckAfterTwo final : public TokenGuide {
 public:
  std::span<const uint32_t> Allowed() override { return taken < 2 ? std::span<const uint32_t>() : nothing_; }
  void Take(TokenId) override { ++taken; }
  int taken = 0;

 private:
  const std::vector<uint32_t> nothing_ = {0, 0};
};

class TokenMasksTest : public test::EngineTest {
 protected:
  static Request Drawn(int prompt, uint64_t seed) {
    Request r = Greedy(Tokens(prompt, seed), 40);
    r.sampling.temperature = 1.2f;
    r.sampling.top_k = 8;  // masks leave fewer at times
    r.sampling.repeat_penalty = 1.4f;
    r.sampling.repeat_last_n = 10;
    r.sampling.seed = seed;
    return r;
  }
  static Request Guided(Request r) {
    r.guide = std::make_shared<FromWhatCame>();
    return r;
  }
  // Four guided and two free ones, which begin in different steps.
  std::vector<std::vector<TokenId>> AnswerSix() {
    std::vector<std::unique_ptr<Client>> clients;
    clients.push_back(Send(Guided(Drawn(30, 1))));
    clients.push_back(Send(Drawn(200, 2)));
    clients.push_back(Send(Guided(Greedy(Tokens(90, 3), 40))));
    for (int i = 0; i < 5; ++i) Step();
    clients.push_back(Send(Greedy(Tokens(50, 4), 40)));
    clients.push_back(Send(Guided(Drawn(150, 5))));
    clients.push_back(Send(Guided(Drawn(20, 6))));
    std::vector<Client*> readers;
    for (const auto& c : clients) readers.push_back(c.get());
    RunAll(readers);
    std::vector<std::vector<TokenId>> answers;
    for (const auto& c : clients) {
      EXPECT_EQ(c->answer.end().kind, TokenEvent::Kind::kFinished);
      EXPECT_EQ(c->answer.tokens.size(), 40u);
      answers.push_back(c->answer.tokens);
    }
    return answers;
  }
};

TEST_F(TokenMasksTest, TheBestOfWhatMasksLeaveGiveTheAnswersOfWholeRows) {
  EngineConfig config;
  config.max_batch_tokens = 64;
  Start({0}, 128, 512, config);
  const auto whole = AnswerSix();
  EXPECT_EQ(runner_->best_steps, 0);

  Start({0}, 128, 512, config);
  runner_->best_given = 20, runner_->masks_given = 4;
  EXPECT_EQ(AnswerSix(), whole);
  EXPECT_GT(runner_->best_steps, 0);
  EXPECT_EQ(runner_->whole_steps, 0);

  Start({0}, 128, 512, config);  // a device that has begun when the guides are asked
  runner_->best_given = 20, runner_->masks_given = 4, runner_->apart = true;
  EXPECT_EQ(AnswerSix(), whole);
  EXPECT_EQ(runner_->whole_steps, 0);

  Start({0}, 128, 512, config);  // one mask too few when all four run
  runner_->best_given = 20, runner_->masks_given = 3;
  EXPECT_EQ(AnswerSix(), whole);
  EXPECT_GT(runner_->best_steps, 0);
  EXPECT_GT(runner_->whole_steps, 0);
}

TEST_F(TokenMasksTest, GuessesOfAGuidedSequenceNeedWholeRows) {
  const auto run = [&](int lookup_min_match, int best_given) {
    EngineConfig config;
    config.lookup_min_match = lookup_min_match;
    config.max_draft = 4;
    config.max_step_drafts = lookup_min_match > 0 ? 8 : 0;
    Start({0}, 128, 512, config);
    runner_->best_given = best_given, runner_->masks_given = 8;
    return AnswerSix();
  };
  const auto alone = run(0, 0);
  EXPECT_EQ(run(1, 0), alone);
  EXPECT_EQ(run(1, 20), alone);
  EXPECT_GT(engine_->Stats().drafted_tokens, 0);
  EXPECT_GT(runner_->whole_steps, 0);
  EXPECT_GT(runner_->best_steps, 0);
}

TEST_F(TokenMasksTest, FaultsAreThoseOfWholeRows) {
  for (const int best_given : {0, 20}) {
    Start({0}, 128, 512);
    runner_->best_given = best_given, runner_->masks_given = 8;
    Request stuck = Drawn(20, 1);
    const auto guide = std::make_shared<StuckAfterTwo>();
    stuck.guide = guide;
    const auto ends = Send(stuck);
    const auto goes_on = Send(Guided(Drawn(30, 2)));
    RunAll({ends.get(), goes_on.get()});
    ASSERT_EQ(ends->answer.end().kind, TokenEvent::Kind::kFailed);
    EXPECT_EQ(ends->answer.end().error.code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(ends->answer.tokens.size(), 2u);
    EXPECT_EQ(guide->taken, 2);
    EXPECT_EQ(goes_on->answer.tokens.size(), 40u);

    int rows = 0;  // one bad logit, of whatever token
    runner_->spoil = [&](std::span<float> logits) {
      if (++rows == 7) logits[31] = std::numeric_limits<float>::quiet_NaN();
    };
    const auto spoiled = Send(Guided(Drawn(40, 3)));
    RunAll({spoiled.get()});
    ASSERT_EQ(spoiled->answer.end().kind, TokenEvent::Kind::kFailed);
    EXPECT_EQ(spoiled->answer.end().error.code, ErrorCode::kComputeFault);
    EXPECT_EQ(spoiled->answer.tokens.size(), 6u);
    EXPECT_EQ(runner_->best_steps > 0, best_given > 0);
    EXPECT_EQ(runner_->whole_steps > 0, best_given == 0);
  }
}

TEST_F(TokenMasksTest, AFailedPassTakesNothing) {
  Start({0}, 128, 512);
  runner_->best_given = 20, runner_->masks_given = 8;
  Request request = Drawn(20, 1);
  const auto guide = std::make_shared<FromWhatCame>();
  request.guide = guide;
  const auto client = Send(request);
  for (int i = 0; i < 4; ++i) Step();
  const int taken = guide->taken;
  EXPECT_GT(taken, 0);
  runner_->fail = [](const ForwardBatch& batch) { return !batch.logit_rows.empty(); };
  RunAll({client.get()});
  EXPECT_EQ(client->answer.end().error.code, ErrorCode::kComputeFault);
  EXPECT_EQ(guide->taken, taken);
}

}  // namespace
}  // namespace lb

// Proves that a context is shifted only when asked for, that what follows is bit by bit the answer
// to a new prompt of exactly the kept tokens, and that what was dropped is told exactly.
#include "engine/context_shift.h"

#include "tests/engine/engine_fixture.h"

namespace lb {
namespace {

using test::Answer;
using test::Client;

class ContextShiftTest : public test::EngineTest {
 protected:
  static Request Shifting(std::vector<TokenId> prompt, int64_t max_tokens, int64_t keep) {
    Request r = Greedy(std::move(prompt), max_tokens);
    r.context_shift = true;
    r.keep = keep;
    return r;
  }
};

TEST_F(ContextShiftTest, ThePlanByHand) {
  const auto plan = [](int64_t wanted, int64_t prompt, int64_t tokens) {
    const ContextShift s = PlanShift(wanted, prompt, tokens);
    return std::pair(s.keep, s.dropped);
  };
  EXPECT_EQ(plan(0, 50, 128), std::pair(int64_t{1}, int64_t{63}));
  EXPECT_EQ(plan(28, 50, 128), std::pair(int64_t{28}, int64_t{50}));
  EXPECT_EQ(plan(-1, 50, 128), std::pair(int64_t{50}, int64_t{39}));
  EXPECT_EQ(plan(1000, 50, 128), std::pair(int64_t{64}, int64_t{32}));  // at most half
  EXPECT_EQ(plan(0, 1, 2), std::pair(int64_t{1}, int64_t{1}));
}

TEST_F(ContextShiftTest, GoesOnAsANewPromptOfTheKeptTokensWould) {
  Start({0}, 32, 128);
  const auto prompt = Tokens(50, 1);
  const Answer all = Ask(Shifting(prompt, 100, 20));
  ASSERT_EQ(all.tokens.size(), 100u);
  EXPECT_EQ(all.end().reason, FinishReason::kLength);
  EXPECT_EQ(all.end().usage.context_shifts, 1);
  EXPECT_EQ(all.end().usage.dropped_tokens, 54);
  EXPECT_EQ(all.end().usage.prompt_tokens, 50);
  EXPECT_EQ(all.end().usage.completion_tokens, 100);
  // 50 + 78 = 128 is where it was full; positions 20 .. 73 went.
  std::vector<TokenId> kept(prompt.begin(), prompt.begin() + 20);
  kept.insert(kept.end(), all.tokens.begin() + 24, all.tokens.begin() + 78);
  ASSERT_EQ(kept.size(), 74u);
  Start({0}, 32, 128);  // nothing in its cache
  const Answer fresh = Ask(Greedy(kept, 22));
  EXPECT_EQ(fresh.tokens, std::vector<TokenId>(all.tokens.begin() + 78, all.tokens.end()));
}

TEST_F(ContextShiftTest, OnlyWhenAskedFor) {
  Start({0}, 32, 128);
  const Answer a = Ask(Greedy(Tokens(50, 1), 100));
  EXPECT_EQ(a.tokens.size(), 78u);
  EXPECT_EQ(a.end().reason, FinishReason::kLength);
  EXPECT_EQ(a.end().usage.context_shifts, 0);
  // Without max_tokens a shifted answer is as long as a context, and ends.
  const Answer b = Ask(Shifting(Tokens(50, 1), -1, 0));
  EXPECT_EQ(b.tokens.size(), 128u);
  // A prompt that is too long is refused all the same.
  EXPECT_EQ(engine_->Submit(Shifting(Tokens(128, 1), 5, 0)).error().code, ErrorCode::kTooLong);
}

TEST_F(ContextShiftTest, ManyShiftsTogetherInASmallPool) {
  for (std::vector<int> windows : {std::vector<int>{0}, {0, 40}, {33}}) {
    Start(windows, 14, 128);  // two that begin fit, two that are full do not
    std::vector<std::unique_ptr<Client>> clients;
    std::vector<Client*> all;
    for (uint64_t i = 0; i < 6; ++i) {
      Request r = Shifting(Tokens(30 + 10 * static_cast<int>(i), 3 + i / 2), 400,
                           static_cast<int64_t>(i) * 25 - 1);
      r.cache_prompt = i != 4;
      if (i == 5) {
        r.sampling.temperature = 1;
        r.sampling.mirostat = 2;
        r.sampling.frequency_penalty = 0.5f;
      }
      clients.push_back(Send(r));
      all.push_back(clients.back().get());
    }
    RunAll(all);
    int64_t dropped = 0, shifts = 0;
    for (auto& c : clients) {
      ExpectAlone(*c);
      EXPECT_GT(c->answer.end().usage.context_shifts, 3);
      dropped += c->answer.end().usage.dropped_tokens;
      shifts += c->answer.end().usage.context_shifts;
      // Told when it happens, too.
      int told = 0;
      for (const TokenEvent& e : c->answer.events) {
        if (e.kind != TokenEvent::Kind::kShifted) continue;
        EXPECT_EQ(e.usage.context_shifts, ++told);
      }
      EXPECT_EQ(told, c->answer.end().usage.context_shifts);
    }
    EXPECT_EQ(engine_->Stats().context_shifts, shifts);
    EXPECT_EQ(engine_->Stats().dropped_tokens, dropped);
    const bool full = windows[0] == 0;  // windows alone would need more to be short of room
    EXPECT_TRUE(engine_->Stats().pauses > 0 || !full);
  }
}

}  // namespace
}  // namespace lb

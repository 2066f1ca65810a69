// Proves what one engine promises its clients, step by step and without threads: answers equal
// those of the model alone, limits are exact, reuse is counted and shared, faults stay where they
// happen.
#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/engine_fixture.h"

namespace lb {
namespace {

using test::Answer;
using test::Client;
using test::EngineTest;

TEST_F(EngineTest, AnswersAsTheModelAloneDoes) {
  Start({0}, 64, 512);
  auto c = Send(Greedy(Tokens(100, 1), 40));
  RunAll({c.get()});
  ExpectAlone(*c);
  EXPECT_EQ(c->answer.events.front().kind, TokenEvent::Kind::kAdmitted);
  EXPECT_EQ(c->answer.end().usage.prompt_tokens, 100);
}

TEST_F(EngineTest, WarmingUpLeavesNothingBehind) {
  for (const std::vector<int>& windows : {std::vector<int>{0}, {0, 64}}) {
    for (int blocks : {20, 400}) {  // fewer than the longest chunk takes, and more
      Start(windows, blocks, blocks * 16);
      ASSERT_TRUE(engine_->WarmUp().has_value());
      ASSERT_TRUE(engine_->kv().CheckInvariants().has_value());
      auto c = Send(Greedy(std::vector<TokenId>(100, 0), 20));
      RunAll({c.get()});
      ExpectAlone(*c);
      EXPECT_EQ(c->answer.cached(), 0);
      EXPECT_EQ(engine_->Stats().prompt_tokens, 100);
    }
  }
}

// Allows token 7 alone after every second one.
class EverySecondIsSeven final : public TokenGuide {
 public:
  std::span<const uint32_t> Allowed() override {
    if (taken_ % 2 == 0) return {};
    return mask_;
  }
  void Take(TokenId) override { ++taken_; }

 private:
  int taken_ = 0;
  const std::vector<uint32_t> mask_ = {1u << 7, 0};
};

TEST_F(EngineTest, AGuideDecidesWhatMayFollow) {
  Start({0}, 64, 512);
  const Answer free = Ask(Greedy(Tokens(30, 1), 10));
  Request guided = Greedy(Tokens(30, 1), 10);
  guided.guide = std::make_shared<EverySecondIsSeven>();
  const Answer bound = Ask(std::move(guided));
  ASSERT_EQ(bound.tokens.size(), 10u);
  EXPECT_EQ(bound.tokens[0], free.tokens[0]);
  for (size_t i = 1; i < 10; i += 2) EXPECT_EQ(bound.tokens[i], 7);
}

TEST_F(EngineTest, EndsExactlyAtTheContext) {
  Start({0}, 32, 512);
  for (int64_t max : {-1, 0, 1, 111, 112, 113, 100000}) {
    const Answer a = Ask(Greedy(Tokens(400, 2), max));
    ASSERT_TRUE(a.ended());
    EXPECT_EQ(a.end().reason, FinishReason::kLength);
    const int expected = max < 0 ? 112 : static_cast<int>(std::min<int64_t>(max, 112));
    EXPECT_EQ(a.tokens.size(), static_cast<size_t>(expected)) << max;
    EXPECT_EQ(a.end().usage.completion_tokens, expected);
  }
}

TEST_F(EngineTest, RefusesWhatCanNeverFitAndNamesTheNumbers) {
  Start({0}, 32, 512);
  EXPECT_EQ(Ask(Greedy(Tokens(511, 3), -1)).tokens.size(), 1u);
  for (int n : {512, 513, 5120}) {
    auto refused = engine_->Submit(Greedy(Tokens(n, 3), 1));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kTooLong);
    EXPECT_THAT(refused.error().message, testing::HasSubstr(std::to_string(n)));
    EXPECT_THAT(refused.error().message, testing::HasSubstr("512"));
    EXPECT_THAT(refused.error().message, testing::HasSubstr("--ctx-size"));
  }
  EXPECT_EQ(engine_->Submit(Greedy({}, 1)).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(engine_->Submit(Greedy({test::kVocab}, 1)).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(engine_->Submit(Greedy({-1}, 1)).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(engine_->Stats().rejected, 6);
}

TEST_F(EngineTest, CachedTokensAreCountedByHand) {
  Start({0}, 64, 512);
  const auto prompt = Tokens(400, 4);
  auto cut = [&](int n) { return std::vector<TokenId>(prompt.begin(), prompt.begin() + n); };
  const Answer first = Ask(Greedy(prompt, 50));
  EXPECT_EQ(first.cached(), 0);
  // 400 is a whole number of blocks, and the last token is always computed.
  EXPECT_EQ(Ask(Greedy(prompt, 50)).cached(), 384);
  EXPECT_EQ(Ask(Greedy(cut(399), 5)).cached(), 384);
  EXPECT_EQ(Ask(Greedy(cut(13), 5)).cached(), 0);
  EXPECT_EQ(Ask(Greedy(cut(17), 5)).cached(), 16);
  // The answer's own tokens are reusable: 400 + 49 computed ones.
  auto next = prompt;
  next.insert(next.end(), first.tokens.begin(), first.tokens.end());
  const auto tail = Tokens(20, 5);
  next.insert(next.end(), tail.begin(), tail.end());
  EXPECT_EQ(Ask(Greedy(next, 5)).cached(), 448);
}

TEST_F(EngineTest, WhoHasTheLastEventSeesItsBlocksFree) {
  Start({0}, 64, 512);
  const Answer whole = Ask(Greedy(Tokens(100, 1), 8));
  Request request = Greedy(Tokens(100, 1), 8);
  request.stop_ids = {whole.tokens[4]};  // so that the last event comes alone
  auto stream = engine_->Submit(std::move(request)).value();
  EngineStats seen;
  stream->OnReady([&] { seen = engine_->Stats(); });
  bool ended = false;
  while (!ended) {
    ASSERT_TRUE(engine_->Step());
    for (const TokenEvent& event : stream->Take()) ended |= event.kind == TokenEvent::Kind::kFinished;
  }
  EXPECT_EQ(seen.running, 0);
  EXPECT_EQ(seen.used_blocks, 0);
  EXPECT_EQ(seen.finished_stop, 1);
}

TEST_F(EngineTest, IdenticalPromptsAreComputedOnce) {
  Start({0}, 256, 2048);
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Client*> all;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(Send(Greedy(Tokens(1000, 6), 8)));
    all.push_back(clients.back().get());
  }
  RunAll(all);
  for (auto& c : clients) ExpectAlone(*c);
  // One prefill of 1000, five of the 8 tokens behind the last whole block, and 6 x 7 decoded.
  EXPECT_EQ(runner_->tokens_computed, 1000 + 5 * 8 + 6 * 7);
  EXPECT_EQ(clients[0]->answer.cached(), 0);
  for (int i = 1; i < 6; ++i) EXPECT_EQ(clients[static_cast<size_t>(i)]->answer.cached(), 992);
}

TEST_F(EngineTest, CachePromptFalseNeitherReadsNorFeeds) {
  Start({0}, 64, 512);
  Request r = Greedy(Tokens(100, 7), 4);
  r.cache_prompt = false;
  EXPECT_EQ(Ask(r).cached(), 0);
  EXPECT_EQ(engine_->Stats().cached_blocks, 0);
  EXPECT_EQ(Ask(Greedy(Tokens(100, 7), 4)).cached(), 0);
  EXPECT_EQ(Ask(r).cached(), 0);
  EXPECT_EQ(Ask(Greedy(Tokens(100, 7), 4)).cached(), 96);
}

TEST_F(EngineTest, NamespacesShareNothing) {
  Start({0}, 64, 512);
  Request r = Greedy(Tokens(100, 8), 4);
  EXPECT_EQ(Ask(r).cached(), 0);
  r.cache_namespace = 1;
  EXPECT_EQ(Ask(r).cached(), 0);
  EXPECT_EQ(Ask(r).cached(), 96);
  r.cache_namespace = 0;
  EXPECT_EQ(Ask(r).cached(), 96);
}

TEST_F(EngineTest, WindowedModelsReuseAcrossThreeWindows) {
  Start({0, 512}, 512, 8192);
  const auto prompt = Tokens(1500, 9);
  Ask(Greedy(prompt, 30));
  auto longer = prompt;
  const auto tail = Tokens(50, 10);
  longer.insert(longer.end(), tail.begin(), tail.end());
  auto c = Send(Greedy(longer, 30));
  RunAll({c.get()});
  ExpectAlone(*c);
  EXPECT_EQ(c->answer.cached(), 1488);
  std::vector<TokenId> branch(prompt.begin(), prompt.begin() + 700);
  branch.insert(branch.end(), tail.begin(), tail.end());
  c = Send(Greedy(branch, 30));
  RunAll({c.get()});
  ExpectAlone(*c);
  EXPECT_EQ(c->answer.cached(), 688);
}

TEST_F(EngineTest, OversubscribedPoolAnswersEverybody) {
  // The seed case: 6 x (1200 + 600) tokens in a pool of 4096, and in one just above a request.
  for (int blocks : {256, 114}) {
    Start({0}, blocks, 1800);
    std::vector<std::unique_ptr<Client>> clients;
    std::vector<Client*> all;
    for (int i = 0; i < 12; ++i) {
      clients.push_back(Send(Greedy(Tokens(1200, 20 + static_cast<uint64_t>(i % 6)), 600)));
      all.push_back(clients.back().get());
    }
    RunAll(all);
    for (auto& c : clients) ExpectAlone(*c);
    EXPECT_EQ(engine_->Stats().finished_length, 12);
  }
}

TEST_F(EngineTest, ARunnerFaultFailsItsBatchOnly) {
  Start({0}, 64, 512);
  auto a = Send(Greedy(Tokens(40, 30), 10));
  auto b = Send(Greedy(Tokens(40, 31), 10));
  Step();
  Step();
  bool fail_once = true;
  runner_->fail = [&](const ForwardBatch&) { return std::exchange(fail_once, false); };
  Step();
  auto c = Send(Greedy(Tokens(40, 30), 10));
  RunAll({a.get(), b.get(), c.get()});
  EXPECT_EQ(a->answer.end().error.code, ErrorCode::kComputeFault);
  EXPECT_EQ(b->answer.end().error.code, ErrorCode::kComputeFault);
  ExpectAlone(*c);
}

TEST_F(EngineTest, ASamplerFaultFailsItsRequestOnly) {
  Start({0}, 64, 512);
  auto a = Send(Greedy(Tokens(40, 32), 10));
  auto b = Send(Greedy(Tokens(40, 33), 10));
  int row = 0;
  runner_->spoil = [&](std::span<float> logits) {
    if (row++ == 2) logits[5] = std::numeric_limits<float>::quiet_NaN();
  };
  RunAll({a.get(), b.get()});
  EXPECT_EQ(a->answer.end().kind == TokenEvent::Kind::kFailed,
            b->answer.end().kind == TokenEvent::Kind::kFinished);
  EXPECT_EQ(engine_->Stats().failed, 1);
  ExpectAlone(a->answer.end().kind == TokenEvent::Kind::kFailed ? *b : *a);
}

TEST_F(EngineTest, AGoneReaderIsFreeWithinOneStep) {
  Start({0}, 64, 512);
  auto a = Send(Greedy(Tokens(100, 34), 300));
  for (int i = 0; i < 5; ++i) Step();
  EXPECT_GT(engine_->Stats().used_blocks, 0);
  a->stream.reset();
  Step();
  ExpectDrained();
  EXPECT_EQ(engine_->Stats().cancelled, 1);
}

TEST_F(EngineTest, ASlowReaderHoldsOnlyItself) {
  EngineConfig config;
  config.stream_capacity = 4;
  Start({0}, 32, 512, config);
  auto slow = Send(Greedy(Tokens(200, 35), 100));
  auto other = Send(Greedy(Tokens(300, 36), 150));  // both do not fit
  for (int i = 0; i < 1000 && !other->answer.ended(); ++i) {
    Step();
    other->Read();
  }
  ExpectAlone(*other);
  EXPECT_FALSE(engine_->Step());  // nothing to do until the slow one reads
  RunAll({slow.get()});
  ExpectAlone(*slow);
}

TEST_F(EngineTest, ALargeRequestIsPassedEightTimesAndNoMore) {
  Start({0}, 32, 512);
  auto holder = Send(Greedy(Tokens(300, 50), 200));
  Step();
  auto large = Send(Greedy(Tokens(300, 51), 20));  // has to wait for the holder
  std::vector<std::unique_ptr<Client>> small;
  for (uint64_t i = 0; i < 20; ++i) small.push_back(Send(Greedy(Tokens(20, 60 + i), 2)));
  auto admitted = [](Client& c) {
    c.Read();
    return !c.answer.events.empty();
  };
  for (int i = 0; i < 1000 && !admitted(*large); ++i) Step();
  int before = 0;
  for (auto& c : small) before += c->answer.events.empty() && admitted(*c) && c->answer.ended();
  EXPECT_EQ(before, Scheduler::kMaxBypass);
  std::vector<Client*> all = {holder.get(), large.get()};
  for (auto& c : small) all.push_back(c.get());
  RunAll(all);
  for (Client* c : all) ExpectAlone(*c);
}

TEST_F(EngineTest, SeedsAndStopIdsWork) {
  Start({0}, 64, 512);
  Request r = Greedy(Tokens(50, 37), 40);
  r.sampling.temperature = 1.0f;
  r.sampling.seed = 7;
  auto a = Send(r);
  RunAll({a.get()});
  ExpectAlone(*a);
  r.sampling.seed = 8;
  EXPECT_NE(Ask(r).tokens, a->answer.tokens);
  r.sampling.seed = 7;
  r.stop_ids = {a->answer.tokens[5]};
  auto b = Send(r);
  RunAll({b.get()});
  ExpectAlone(*b);
  EXPECT_EQ(b->answer.end().reason, FinishReason::kStop);
  EXPECT_EQ(b->answer.end().stop_token, r.stop_ids[0]);
  r.ignore_eos = true;
  const Answer banned = Ask(r);
  EXPECT_EQ(banned.end().reason, FinishReason::kLength);
  EXPECT_THAT(banned.tokens, testing::Not(testing::Contains(r.stop_ids[0])));
}

// A device that computes by itself: what a step said goes out when the next one has begun, first tokens and ends at once.
TEST_F(EngineTest, EventsGoOutWhileTheNextStepIsComputed) {
  EngineConfig config;
  config.stream_capacity = 3;
  Start({0}, 32, 512, config);
  runner_->apart = true;
  const auto client = Send(Greedy(Tokens(50, 41), 6));
  std::vector<size_t> seen;  // tokens, when a step begins
  runner_->started = [&] {
    client->Read();
    seen.push_back(client->answer.tokens.size());
  };
  Step();
  client->Read();
  EXPECT_EQ(client->answer.tokens.size(), 1u);
  Step();
  client->Read();
  EXPECT_EQ(client->answer.tokens.size(), 1u);
  for (int i = 0; i < 4; ++i) Step();
  client->Read();
  EXPECT_TRUE(client->answer.ended());
  RunAll({client.get()});
  ExpectAlone(*client);
  EXPECT_EQ(seen, (std::vector<size_t>{0, 1, 1, 2, 3, 4}));

  // Held back events count: nobody has more than fit.
  const auto slow = Send(Greedy(Tokens(50, 42), 12));
  runner_->started = nullptr;
  for (int i = 0; i < 40 && !slow->answer.ended(); ++i) {
    Step();
    if (i % 7 != 6) continue;
    const size_t before = slow->answer.events.size();
    slow->Read();
    EXPECT_LE(slow->answer.events.size() - before, 4u);  // and the last
  }
  RunAll({slow.get()});
  ExpectAlone(*slow);

  // Nothing can follow, since its reader is slow: that need not wait.
  const auto full = Send(Greedy(Tokens(50, 43), 5));
  for (int i = 0; i < 2; ++i) Step();
  EXPECT_TRUE(engine_->Step());
  EXPECT_FALSE(engine_->Step());
  full->Read();
  EXPECT_EQ(full->answer.tokens.size(), 2u);
  RunAll({full.get()});
  ExpectAlone(*full);

  const auto stopped = Send(Greedy(Tokens(50, 44), 9));
  for (int i = 0; i < 2; ++i) Step();
  engine_->FailAll(Error{ErrorCode::kUnavailable, "stopping", {}});
  stopped->Read();
  EXPECT_EQ(stopped->answer.tokens.size(), 2u);
  EXPECT_TRUE(stopped->answer.ended());
}

// A device that takes a step while another runs: the next one is queued as if all went on; who ends or leaves meanwhile costs nobody
// anything, and who comes is in the step after.
TEST_F(EngineTest, TheNextStepIsQueuedBehindTheOneThatRuns) {
  Start({0, 40}, 64, 512);
  runner_->apart = runner_->queues = true;
  runner_->best_given = test::kVocab;
  const auto a = Send(Greedy(Tokens(60, 51), 40)), c = Send(Greedy(Tokens(90, 53), 60));
  Request by_word = Greedy(Tokens(70, 52), 60);
  by_word.stop_ids = {test::AnswerAlone(by_word, windows_, 512).tokens[7]};
  const auto b = Send(by_word);
  auto left = Send(Greedy(Tokens(33, 54), 60));
  // Until a step has been queued that has not run.
  const auto step_until_queued = [&] {
    const int before = runner_->queued_steps;
    for (int i = 0; i < 30 && runner_->queued_steps == before; ++i) Step();
    EXPECT_EQ(runner_->queued_steps, before + 1);
  };
  step_until_queued();
  left.reset();
  int64_t rows = runner_->sequences_computed;
  Step();
  EXPECT_EQ(runner_->sequences_computed, rows + 4);
  for (const auto& client : {&a, &b, &c}) (*client)->Read();
  step_until_queued();
  rows = runner_->sequences_computed;
  const auto late = Send(Greedy(Tokens(45, 55), 10));
  Step();
  EXPECT_EQ(runner_->sequences_computed, rows + 3);
  Step();
  late->Read();
  EXPECT_EQ(late->answer.tokens.size(), 1u);
  RunAll({a.get(), b.get(), c.get(), late.get()});
  EXPECT_GT(runner_->queued_steps, 20);
  EXPECT_EQ(engine_->Stats().steps_ahead, runner_->queued_steps);
  for (const Client* client : {a.get(), b.get(), c.get(), late.get()}) ExpectAlone(*client);
  EXPECT_GT(runner_->sequences_computed - engine_->Stats().step_sequences, 0) << "no row was for nobody";

  // Long steps are not.
  const int before = runner_->queued_steps;
  const auto slow = Send(Greedy(Tokens(40, 57), 20));
  runner_->fail = [&](const ForwardBatch&) {
    clock_.now_us += 6000;
    return false;
  };
  RunAll({slow.get()});
  ExpectAlone(*slow);
  EXPECT_LE(runner_->queued_steps, before + 1);  // before the first was seen to be long

  // A step that fails takes the one behind it along.
  const auto broken = Send(Greedy(Tokens(50, 56), 20));
  int passes = 0;
  runner_->fail = [&](const ForwardBatch&) { return ++passes == 5; };
  RunAll({broken.get()});
  EXPECT_EQ(broken->answer.end().error.code, ErrorCode::kComputeFault);
  EXPECT_EQ(broken->answer.tokens.size(), 4u);
  const auto after = Send(Greedy(Tokens(50, 56), 20));
  RunAll({after.get()});
  ExpectAlone(*after);
}

TEST_F(EngineTest, AFullQueueIsRefusedAndStoppingToo) {
  EngineConfig config;
  config.max_queue = 2;
  Start({0}, 32, 512, config);
  auto a = Send(Greedy(Tokens(50, 38), 5));
  auto b = Send(Greedy(Tokens(50, 39), 5));
  EXPECT_EQ(engine_->Submit(Greedy(Tokens(50, 40), 5)).error().code, ErrorCode::kOverloaded);
  Step();  // both are admitted
  auto c = Send(Greedy(Tokens(50, 40), 5));
  engine_->StopAccepting();
  EXPECT_EQ(engine_->Submit(Greedy(Tokens(50, 41), 5)).error().code, ErrorCode::kUnavailable);
  Step();
  engine_->FailAll(Error{ErrorCode::kUnavailable, "stopping", {}});
  for (Client* client : {a.get(), b.get(), c.get()}) {
    client->Read();
    ASSERT_TRUE(client->answer.ended());
    EXPECT_EQ(client->answer.end().error.code, ErrorCode::kUnavailable);
  }
  ExpectDrained();
}

}  // namespace
}  // namespace lb

// One engine on the fake model, driven step by step without threads, and clients that read it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/log.h"
#include "engine/engine.h"
#include "tests/engine/fake_runner.h"

namespace lb::test {

class FixedClock final : public Clock {
 public:
  int64_t NowMicros() const override { return now_us; }
  int64_t now_us = 1'000'000;
};

struct Answer {
  std::vector<TokenId> tokens;
  std::vector<TokenEvent> events;
  bool ended() const { return !events.empty() && events.back().last(); }
  const TokenEvent& end() const { return events.back(); }
  int cached() const { return events.front().usage.cached_tokens; }
};

struct Client {
  Request request;
  std::unique_ptr<TokenStream> stream;
  Answer answer;
  void Read() {
    for (TokenEvent& e : stream->Take()) {
      if (e.kind == TokenEvent::Kind::kToken) answer.tokens.push_back(e.token);
      answer.events.push_back(std::move(e));
    }
  }
};

class EngineTest : public testing::Test {
 protected:
  EngineTest() { SetLogVerbosity(0); }
  void Start(std::vector<int> windows, int blocks, int64_t max_request, EngineConfig config = {}) {
    windows_ = windows;
    config.kv_groups.clear();
    for (int w : windows) config.kv_groups.push_back({w, blocks});
    config.max_request_tokens = max_request;
    auto runner = std::make_unique<FakeRunner>(windows, std::vector<int>(windows.size(), blocks), config.host_slots);
    runner_ = runner.get();
    auto engine = Engine::Create(config, std::move(runner), &clock_);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    engine_ = std::move(*engine);
  }

  static Request Greedy(std::vector<TokenId> prompt, int64_t max_tokens) {
    Request r;
    r.id = "test";
    r.prompt = std::move(prompt);
    r.max_tokens = max_tokens;
    r.sampling.temperature = 0;
    return r;
  }
  static std::vector<TokenId> Tokens(int n, uint64_t seed) {
    std::vector<TokenId> out;
    for (int i = 0; i < n; ++i) {
      out.push_back(static_cast<TokenId>(test::Mix(seed * 1000003 + static_cast<uint64_t>(i)) %
                                         test::kVocab));
    }
    return out;
  }

  std::unique_ptr<Client> Send(Request request) {
    auto client = std::make_unique<Client>();
    client->request = request;
    auto stream = engine_->Submit(std::move(request));
    EXPECT_TRUE(stream.has_value()) << stream.error().message;
    if (stream.has_value()) client->stream = std::move(*stream);
    return client;
  }
  void Step() {
    engine_->Step();
    const auto sound = engine_->kv().CheckInvariants();
    ASSERT_TRUE(sound.has_value()) << sound.error().message;
    ASSERT_EQ(runner_->complaint, "");
  }
  void RunAll(std::vector<Client*> clients) {
    for (int i = 0; i < 100000 && !engine_->idle(); ++i) {
      Step();
      for (Client* c : clients) c->Read();
    }
    Step();
    for (Client* c : clients) c->Read();
    ASSERT_TRUE(engine_->idle());
    ExpectDrained();
  }
  Answer Ask(Request request) {
    auto client = Send(std::move(request));
    RunAll({client.get()});
    return client->answer;
  }
  void ExpectDrained() {
    const EngineStats s = engine_->Stats();
    EXPECT_EQ(s.used_blocks, 0);
    EXPECT_EQ(s.free_blocks + s.cached_blocks, s.pool_blocks);
    EXPECT_EQ(s.running + s.waiting + s.paused, 0);
  }
  void ExpectAlone(const Client& c) {
    const auto alone = AnswerAlone(c.request, windows_, engine_->limits().max_request_tokens);
    ASSERT_TRUE(c.answer.ended());
    ASSERT_EQ(c.answer.end().kind, TokenEvent::Kind::kFinished) << c.answer.end().error.message;
    EXPECT_EQ(c.answer.tokens, alone.tokens);
    EXPECT_EQ(c.answer.end().reason, alone.reason);
    EXPECT_EQ(c.answer.end().usage.completion_tokens, static_cast<int>(alone.tokens.size()));
    EXPECT_EQ(c.answer.end().usage.context_shifts, alone.shifts);
    EXPECT_EQ(c.answer.end().usage.dropped_tokens, alone.dropped);
  }

  FixedClock clock_;
  std::vector<int> windows_;
  FakeRunner* runner_ = nullptr;
  std::unique_ptr<Engine> engine_;
};

}  // namespace lb::test

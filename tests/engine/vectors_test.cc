// Proves that requests for vectors get the states they ask for whatever the steps look like, that
// texts of a model that reads them as a whole are computed in one step each and share steps, and
// that both kinds of requests live together.
#include "tests/engine/engine_fixture.h"

namespace lb {
namespace {

using test::Answer;
using test::Client;

class Vectors : public test::EngineTest {
 protected:
  static Request Embed(std::vector<TokenId> text) {
    Request r;
    r.id = "text";
    r.prompt = std::move(text);
    r.embed = true;
    return r;
  }
  // A model that reads texts as a whole.
  void StartEncoder(int batch, int64_t longest, Pooling pooling = Pooling::kMean) {
    EngineConfig config;
    config.max_batch_tokens = batch;
    config.max_sequences = 8;
    config.generates = false;
    config.pooling = pooling;
    config.prefix_cache = false;
    Start({0}, batch / 16 + 8, longest, config);
  }
  void StartDecoder(Pooling pooling, int batch = 16) {
    EngineConfig config;
    config.max_batch_tokens = batch;
    config.max_sequences = 4;
    config.pooling = pooling;
    Start({0}, 64, 500, config);
  }
  // The fake's state of a token is its id, its position and 1.
  static std::vector<float> Mean(const std::vector<TokenId>& text) {
    double id = 0, position = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      id += text[i];
      position += static_cast<double>(i);
    }
    const auto n = static_cast<double>(text.size());
    return {static_cast<float>(id / n), static_cast<float>(position / n), 1.0f};
  }
  static std::vector<float> VectorOf(const Answer& answer) {
    EXPECT_EQ(answer.end().kind, TokenEvent::Kind::kFinished) << answer.end().error.message;
    EXPECT_TRUE(answer.tokens.empty());
    return answer.end().vector;
  }
};

TEST_F(Vectors, EachPoolingTakesItsStates) {
  const std::vector<TokenId> text = Tokens(75, 1);  // five chunks
  const auto state = [&](size_t i) {
    return std::vector<float>{static_cast<float>(text[i]), static_cast<float>(i), 1.0f};
  };
  StartDecoder(Pooling::kMean);
  EXPECT_EQ(VectorOf(Ask(Embed(text))), Mean(text));
  StartDecoder(Pooling::kLast);
  EXPECT_EQ(VectorOf(Ask(Embed(text))), state(74));
  StartDecoder(Pooling::kCls);
  EXPECT_EQ(VectorOf(Ask(Embed(text))), state(0));
  StartDecoder(Pooling::kNone);
  const std::vector<float> all = VectorOf(Ask(Embed(text)));
  ASSERT_EQ(all.size(), 75u * test::kWidth);
  EXPECT_EQ(all[74 * test::kWidth + 1], 74);
  // Through the layers behind pooling, which here double it.
  StartDecoder(Pooling::kMean);
  runner_->has_head_ = true;
  std::vector<float> twice = Mean(text);
  for (float& x : twice) x *= 2;
  EXPECT_EQ(VectorOf(Ask(Embed(text))), twice);
}

TEST_F(Vectors, OnlyTheLastStateComesOutOfACache) {
  const std::vector<TokenId> text = Tokens(75, 1);
  StartDecoder(Pooling::kMean);
  EXPECT_EQ(Ask(Embed(text)).cached(), 0);
  EXPECT_EQ(VectorOf(Ask(Embed(text))), Mean(text));
  EXPECT_EQ(Ask(Embed(text)).cached(), 0);
  StartDecoder(Pooling::kLast);
  const std::vector<float> first = VectorOf(Ask(Embed(text)));
  const Answer again = Ask(Embed(text));
  EXPECT_EQ(again.cached(), 64);
  EXPECT_EQ(VectorOf(again), first);
}

TEST_F(Vectors, AnswersAndVectorsShareSteps) {
  StartDecoder(Pooling::kMean);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 12; ++i) {
    const auto text = Tokens(20 + 7 * i, static_cast<uint64_t>(i));
    clients.push_back(Send(i % 2 == 0 ? Embed(text) : Greedy(text, 9)));
  }
  std::vector<Client*> all;
  for (auto& c : clients) all.push_back(c.get());
  RunAll(all);
  for (size_t i = 0; i < all.size(); ++i) {
    if (i % 2 == 1) ExpectAlone(*all[i]);
    if (i % 2 == 0) {
      EXPECT_EQ(VectorOf(all[i]->answer), Mean(all[i]->request.prompt));
    }
  }
}

TEST_F(Vectors, APauseBeginsTheTextAgain) {
  EngineConfig config;
  config.max_batch_tokens = 16;
  config.max_sequences = 4;
  config.pooling = Pooling::kMean;
  Start({0}, 12, 190, config);  // of which the answers want more than there is
  auto a = Send(Greedy(Tokens(40, 1), 140)), b = Send(Greedy(Tokens(30, 2), 100));
  for (int i = 0; i < 12; ++i) Step();
  auto c = Send(Embed(Tokens(100, 3)));
  RunAll({a.get(), b.get(), c.get()});
  ExpectAlone(*a);
  ExpectAlone(*b);
  EXPECT_EQ(VectorOf(c->answer), Mean(c->request.prompt));
}

TEST_F(Vectors, WholeTextsFillSteps) {
  StartEncoder(64, 64);
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Client*> all;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(Send(Embed(Tokens(1 + (i * 13) % 64, static_cast<uint64_t>(i)))));
    all.push_back(clients.back().get());
  }
  RunAll(all);
  int64_t tokens = 0;
  for (Client* c : all) {
    EXPECT_EQ(VectorOf(c->answer), Mean(c->request.prompt));
    EXPECT_EQ(c->answer.end().usage.num_pauses, 0);
    tokens += std::ssize(c->request.prompt);
  }
  EXPECT_EQ(runner_->tokens_computed, tokens);  // each once
  EXPECT_GT(runner_->most_sequences, 2);
}

TEST_F(Vectors, LimitsAreExact) {
  StartEncoder(64, 50);
  EXPECT_EQ(VectorOf(Ask(Embed(Tokens(50, 1)))), Mean(Tokens(50, 1)));
  const auto longer = engine_->Submit(Embed(Tokens(51, 1)));
  ASSERT_FALSE(longer.has_value());
  EXPECT_EQ(longer.error().code, ErrorCode::kTooLong);
  EXPECT_EQ(longer.error().prompt_tokens, 51);
  EXPECT_EQ(longer.error().context_tokens, 50);
}

TEST_F(Vectors, WhatAModelCannotDoIsRefused) {
  StartEncoder(64, 64);
  const auto chat = engine_->Submit(Greedy(Tokens(5, 1), 3));
  ASSERT_FALSE(chat.has_value());
  EXPECT_EQ(chat.error().code, ErrorCode::kUnsupported);
  Start({0}, 16, 100);
  const auto embed = engine_->Submit(Embed(Tokens(5, 1)));
  ASSERT_FALSE(embed.has_value());
  EXPECT_EQ(embed.error().code, ErrorCode::kUnsupported);
}

TEST_F(Vectors, AFaultEndsTheTextsOfItsStep) {
  StartEncoder(64, 64);
  bool once = true;
  runner_->fail = [&](const ForwardBatch&) { return std::exchange(once, false); };
  auto a = Send(Embed(Tokens(40, 1))), b = Send(Embed(Tokens(60, 2)));
  RunAll({a.get(), b.get()});
  EXPECT_EQ(a->answer.end().kind, TokenEvent::Kind::kFailed);
  EXPECT_EQ(VectorOf(b->answer), Mean(Tokens(60, 2)));
}

}  // namespace
}  // namespace lb

// Proves that a choice from the best logits is the choice from all of them, for every parameter set that
// claims so, with penalties that push tokens out of the best and with masks that leave few of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <random>

#include "sampling/sampler.h"
#include "tests/sanitized.h"

namespace lb {
namespace {

constexpr int kVocab = 3000;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<TokenLogit> BestOf(const std::vector<float>& logits, int count) {
  std::vector<TokenId> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](TokenId a, TokenId b) { return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)]; });
  std::vector<TokenLogit> best;
  for (int i = 0; i < count; ++i) best.push_back({order[static_cast<size_t>(i)], logits[static_cast<size_t>(order[static_cast<size_t>(i)])]});
  return best;
}

// Of the tokens that `allowed` lets through, as a device chooses them: NaN and infinity first, whether or not they may be, and -1 behind
// the last.
std::vector<TokenLogit> BestOf(const std::vector<float>& logits, int count, const std::vector<uint32_t>& allowed) {
  const auto fault = [&](TokenId t) { return !(logits[static_cast<size_t>(t)] < kInfinity); };
  std::vector<TokenId> order;
  for (TokenId t = 0; t < static_cast<TokenId>(logits.size()); ++t) {
    if (fault(t) || (allowed[static_cast<size_t>(t) / 32] >> (t % 32) & 1) != 0) order.push_back(t);
  }
  std::ranges::stable_sort(order, [&](TokenId a, TokenId b) {
    if (fault(a) || fault(b)) return fault(a) && !fault(b);
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  std::vector<TokenLogit> best(static_cast<size_t>(count), {-1, std::numeric_limits<float>::quiet_NaN()});
  for (size_t i = 0; i < std::min(order.size(), best.size()); ++i) best[i] = {order[i], logits[static_cast<size_t>(order[i])]};
  return best;
}

std::vector<uint32_t> RandomMask(std::mt19937& rng) {
  std::vector<uint32_t> mask((kVocab + 31) / 32);
  const auto allow = [&](size_t token) { mask[token / 32] |= 1u << (token % 32); };
  switch (rng() % 5) {
    case 0:  // from none to a few: fewer than are asked for
      for (uint32_t i = rng() % 12; i > 0; --i) allow(rng() % kVocab);
      break;
    case 1:  // about as many as are asked for
      for (size_t i = 0; i < 60; ++i) allow(rng() % kVocab);
      break;
    case 2:
      for (uint32_t& word : mask) word = static_cast<uint32_t>(rng());
      break;
    case 3:  // all but a few
      std::ranges::fill(mask, ~0u);
      for (size_t i = 0; i < 10; ++i) mask[rng() % mask.size()] &= ~(1u << rng() % 32);
      break;
    default:  // one stretch
      for (size_t first = rng() % kVocab, i = 0; i < 100; ++i) allow(std::min<size_t>(first + i, kVocab - 1));
  }
  return mask;
}

SamplingParams RandomParams(std::mt19937& rng) {
  const auto one_of = [&](std::initializer_list<float> values) { return values.begin()[rng() % values.size()]; };
  SamplingParams p;
  p.temperature = one_of({0, 0.3f, 0.8f, 1.5f});
  p.top_k = static_cast<int>(one_of({1, 5, 40, 64}));
  p.top_p = one_of({0.5f, 0.9f, 1});
  p.min_p = one_of({0, 0.1f});
  p.typical_p = one_of({1, 0.8f});
  p.dynatemp_range = one_of({0, 0.2f});
  p.repeat_penalty = one_of({1, 1, 1.3f});
  p.presence_penalty = one_of({0, 0, 0.7f});
  p.frequency_penalty = one_of({0, 0, 0.5f});
  p.repeat_last_n = static_cast<int>(one_of({0, 16, 64}));
  p.seed = rng();
  return p;
}

TEST(SampleBest, ChoosesAsTheWholeRowDoes) {
  std::mt19937 rng(1);
  SamplerWorkspace workspace;
  int compared = 0;
  const int rounds = kSanitized ? 600 : 3000;
  for (int round = 0; round < rounds; ++round) {
    std::normal_distribution<float> normal(0, 3);
    std::vector<float> logits(kVocab);
    for (float& x : logits) x = std::round(normal(rng) * 4) / 4;  // with many equals
    SamplingParams params = RandomParams(rng);
    for (const TokenLogit& t : BestOf(logits, 20)) {  // some of the best are banned or lowered
      if (rng() % 8 == 0) params.logit_bias.emplace_back(t.token, rng() % 2 == 0 ? -kInfinity : -2.0f);
    }
    auto made = Sampler::Create(params, kVocab);
    ASSERT_TRUE(made.has_value());
    Sampler sampler = *made;
    const int needed = sampler.BestNeeded();
    if (needed == 0) continue;
    ++compared;
    const auto best = BestOf(logits, needed);
    std::vector<TokenId> prompt, generated;
    for (int i = 0; i < 40; ++i) {  // what the penalties strike is among the best
      (i % 2 == 0 ? prompt : generated).push_back(best[rng() % best.size()].token);
    }
    const auto all = sampler.Sample(logits, prompt, generated, workspace);
    const auto some = sampler.SampleBest(best, prompt, generated, workspace);
    ASSERT_TRUE(all.has_value() && some.has_value());
    ASSERT_EQ(some->token, all->token) << "round " << round << ", " << needed << " best";
  }
  EXPECT_GT(compared, rounds / 3);
}

TEST(SampleBest, ChoosesAsTheWholeRowDoesUnderAMask) {
  std::mt19937 rng(2);
  SamplerWorkspace workspace;
  int compared = 0, short_of = 0, nothing_left = 0, faults = 0;
  const int rounds = kSanitized ? 500 : 6000;
  for (int round = 0; round < rounds; ++round) {
    std::normal_distribution<float> normal(0, 3);
    std::vector<float> logits(kVocab);
    for (float& x : logits) x = std::round(normal(rng) * 4) / 4;
    const std::vector<uint32_t> mask = RandomMask(rng);
    SamplingParams params = RandomParams(rng);
    if (rng() % 2 == 0) std::ranges::shuffle(params.stages, rng);
    if (rng() % 4 == 0) params.xtc_probability = 0.7f;
    const auto allowed_best = BestOf(logits, 20, mask);
    for (const TokenLogit& t : allowed_best) {
      if (t.token >= 0 && rng() % 8 == 0) params.logit_bias.emplace_back(t.token, rng() % 2 == 0 ? -kInfinity : -2.0f);
    }
    for (const TokenLogit& t : BestOf(logits, 3)) params.logit_bias.emplace_back(t.token, -1.0f);  // allowed or not
    auto made = Sampler::Create(params, kVocab);
    ASSERT_TRUE(made.has_value());
    const int needed = made->BestNeeded();
    if (needed == 0) continue;
    ++compared;
    std::vector<TokenId> prompt, generated;
    for (int i = 0; i < 40; ++i) {
      const TokenId t = allowed_best[rng() % allowed_best.size()].token;
      (i % 2 == 0 ? prompt : generated).push_back(t >= 0 ? t : static_cast<TokenId>(rng() % kVocab));
    }
    if (rng() % 20 == 0) {
      logits[rng() % kVocab] = rng() % 2 == 0 ? kInfinity : std::numeric_limits<float>::quiet_NaN();  // allowed or not
    }
    // A runner may give more than are needed: another sequence of the step needs them.
    const auto best = BestOf(logits, needed + static_cast<int>(rng() % 2) * 20, mask);
    const auto all = made->Sample(logits, prompt, generated, workspace, mask);
    const auto some = made->SampleBest(best, prompt, generated, workspace);
    ASSERT_EQ(some.has_value(), all.has_value()) << "round " << round;
    short_of += best.back().token < 0;
    if (!all.has_value()) {
      ASSERT_EQ(some.error().code, all.error().code) << "round " << round;
      ++(all.error().code == ErrorCode::kInvalidArgument ? nothing_left : faults);
      continue;
    }
    ASSERT_EQ(some->token, all->token) << "round " << round << ", " << needed << " best";
  }
  EXPECT_GT(compared, rounds / 4);
  EXPECT_GT(short_of, rounds / 20);
  EXPECT_GT(nothing_left, rounds / 200);
  EXPECT_GT(faults, rounds / 200);
}

TEST(SampleBest, SomeParametersNeedTheWholeRow) {
  const auto needed = [](const std::function<void(SamplingParams&)>& change) {
    SamplingParams p;
    change(p);
    return Sampler::Create(p, kVocab)->BestNeeded();
  };
  EXPECT_EQ(needed([](SamplingParams&) {}), 40);
  EXPECT_EQ(needed([](SamplingParams& p) { p.temperature = 0; }), 1);
  EXPECT_EQ(needed([](SamplingParams& p) { p.repeat_penalty = 1.1f; }), 40 + 64);
  EXPECT_EQ(needed([](SamplingParams& p) { p.top_k = 0; }), 0);
  EXPECT_EQ(needed([](SamplingParams& p) { p.top_k = kVocab - 1; }), kVocab - 1);
  EXPECT_EQ(needed([](SamplingParams& p) { p.top_k = kVocab; }), 0);
  EXPECT_EQ(needed([](SamplingParams& p) { p.num_logprobs = 0; }), 0);
  EXPECT_EQ(needed([](SamplingParams& p) { p.presence_penalty = -1; }), 0);
  EXPECT_EQ(needed([](SamplingParams& p) { p.top_n_sigma = 2; }), 0);
  EXPECT_EQ(needed([](SamplingParams& p) { p.mirostat = 2; }), 0);
  EXPECT_EQ(needed([](SamplingParams& p) { p.logit_bias = {{3, 5.0f}}; }), 0);
  EXPECT_EQ(needed([](SamplingParams& p) { p.logit_bias = {{3, -5.0f}, {4, -kInfinity}}; }), 40 + 2);
  EXPECT_EQ(needed([](SamplingParams& p) { p.dry_multiplier = 0.8f; }), 0);
}

TEST(SampleBest, AllBannedIsAnError) {
  SamplingParams params;
  params.logit_bias = {{7, -kInfinity}, {1, -kInfinity}};
  auto sampler = Sampler::Create(params, kVocab);
  SamplerWorkspace workspace;
  const std::vector<TokenLogit> best = {{7, 3.0f}, {1, 2.0f}};  // a vocabulary of two
  const auto result = sampler->SampleBest(best, {}, {}, workspace);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
}

TEST(SampleBest, AMaskThatLeavesNothingIsNoFailedPass) {
  auto sampler = Sampler::Create({}, kVocab);
  SamplerWorkspace workspace;
  const std::vector<TokenLogit> best(40, {-1, std::numeric_limits<float>::quiet_NaN()});
  const auto result = sampler->SampleBest(best, {}, {}, workspace);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
}

TEST(SampleBest, ANanIsAFailedPass) {
  auto sampler = Sampler::Create({}, kVocab);
  SamplerWorkspace workspace;
  const std::vector<TokenLogit> best = {{7, std::numeric_limits<float>::quiet_NaN()}, {1, 2.0f}};
  const auto result = sampler->SampleBest(best, {}, {}, workspace);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kComputeFault);
}

}  // namespace
}  // namespace lb

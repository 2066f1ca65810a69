// Proves the whole way from logits to a token: distributions, determinism, values at the edges,
// log-probabilities, masks, errors and mirostat.
#include "sampling/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <set>

#include "sampling/random.h"
#include "tests/sampling/naive.h"

namespace lb {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// The model's distribution as it is.
SamplingParams Plain() {
  SamplingParams params;
  params.temperature = 1;
  params.top_k = 0;
  params.top_p = 1;
  params.min_p = 0;
  params.seed = 42;
  return params;
}

class SamplerTest : public testing::Test {
 protected:
  TokenId Draw(const SamplingParams& params, const std::vector<float>& logits,
               const std::vector<TokenId>& prompt = {1}) {
    Result<Sampler> sampler = Sampler::Create(params, static_cast<int>(logits.size()));
    EXPECT_TRUE(sampler.has_value());
    const Result<Sampled> sampled = sampler->Sample(logits, prompt, {}, workspace_);
    EXPECT_TRUE(sampled.has_value());
    return sampled.has_value() ? sampled->token : -1;
  }

  // How often each token comes out over `draws` positions of one sequence.
  std::vector<int> Count(const SamplingParams& params, const std::vector<float>& logits,
                         int draws) {
    Result<Sampler> sampler = Sampler::Create(params, static_cast<int>(logits.size()));
    EXPECT_TRUE(sampler.has_value());
    std::vector<int> counts(logits.size());
    std::vector<TokenId> generated(draws, 0);
    for (int i = 0; i < draws; ++i) {
      const Result<Sampled> sampled =
          sampler->Sample(logits, {}, std::span<const TokenId>(generated).first(i), workspace_);
      EXPECT_TRUE(sampled.has_value());
      ++counts[sampled->token];
    }
    return counts;
  }

  SamplerWorkspace workspace_;
};

// Chi-square of counts against expected probabilities, cells under 5 merged. Returns it in standard
// deviations above its mean.
double ChiSquareSigmas(const std::vector<int>& counts, const std::vector<double>& p, int draws) {
  double sum = 0, rest_expected = 0, rest_count = 0;
  int cells = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double expected = p[i] * draws;
    if (expected == 0) {
      EXPECT_EQ(counts[i], 0);
    }
    if (expected < 5) {
      rest_expected += expected;
      rest_count += counts[i];
      continue;
    }
    sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    ++cells;
  }
  if (rest_expected >= 5) {
    sum += (rest_count - rest_expected) * (rest_count - rest_expected) / rest_expected;
    ++cells;
  }
  const double freedom = std::max(1, cells - 1);
  return (sum - freedom) / std::sqrt(2 * freedom);
}

std::vector<double> ById(const naive::Tokens& kept, double temperature, size_t vocab) {
  naive::Tokens scaled = kept;
  for (naive::Token& t : scaled) t.logit /= temperature;
  const std::vector<double> p = naive::Softmax(scaled);
  std::vector<double> by_id(vocab, 0.0);
  for (size_t i = 0; i < p.size(); ++i) by_id[scaled[i].id] = p[i];
  return by_id;
}

TEST_F(SamplerTest, DrawsFromTheModelsDistribution) {
  const std::vector<float> logits = naive::RandomLogits(3000, 3, 1);
  constexpr int kDraws = 20000;
  const std::vector<double> p = ById(naive::From(logits), 1, 3000);
  for (const uint64_t seed : {1, 2, 3}) {
    SamplingParams params = Plain();
    params.seed = seed;
    params.repeat_last_n = 0;
    EXPECT_LT(ChiSquareSigmas(Count(params, logits, kDraws), p, kDraws), 4) << seed;
  }
}

TEST_F(SamplerTest, DrawsFromWhatTheStagesLeave) {
  const std::vector<float> logits = naive::RandomLogits(3000, 3, 2);
  constexpr int kDraws = 20000;
  SamplingParams params = Plain();
  params.temperature = 1.5f;
  params.top_k = 40;
  params.top_p = 0.9f;
  params.min_p = 0.05f;
  const naive::Tokens kept =
      naive::MinP(naive::TopP(naive::Head(naive::From(logits), 40), 0.9), 0.05);
  EXPECT_LT(ChiSquareSigmas(Count(params, logits, kDraws), ById(kept, 1.5, 3000), kDraws), 4);
}

TEST_F(SamplerTest, StagesRunInTheOrderGiven) {
  // Temperature first flattens, so that top_p keeps more.
  const std::vector<float> logits = naive::RandomLogits(200, 3, 3);
  SamplingParams params = Plain();
  params.temperature = 5;
  params.top_p = 0.5f;
  constexpr int kDraws = 20000;
  params.stages = {SamplerStage::kTopP, SamplerStage::kTemperature};
  EXPECT_LT(ChiSquareSigmas(Count(params, logits, kDraws),
                            ById(naive::TopP(naive::From(logits), 0.5), 5, 200), kDraws),
            4);
  params.stages = {SamplerStage::kTemperature, SamplerStage::kTopP};
  naive::Tokens hot = naive::From(logits);
  for (naive::Token& t : hot) t.logit /= 5;
  const naive::Tokens kept = naive::TopP(hot, 0.5);
  EXPECT_GT(kept.size(), naive::TopP(naive::From(logits), 0.5).size());
  EXPECT_LT(ChiSquareSigmas(Count(params, logits, kDraws), ById(kept, 1, 200), kDraws), 4);
}

TEST_F(SamplerTest, XtcFiresAsOftenAsAsked) {
  // p = 0.5, 0.3, 0.2: when it fires only the last is left.
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  SamplingParams params = Plain();
  params.xtc_probability = 0.25f;
  params.xtc_threshold = 0.1f;
  constexpr int kDraws = 20000;
  EXPECT_LT(ChiSquareSigmas(Count(params, logits, kDraws),
                            {0.75 * 0.5, 0.75 * 0.3, 0.75 * 0.2 + 0.25}, kDraws),
            4);
}

TEST_F(SamplerTest, ADrawDependsOnSeedAndPositionOnly) {
  const std::vector<float> logits = naive::RandomLogits(500, 2, 4);
  const std::vector<TokenId> tokens(40, 3);
  SamplingParams params = Plain();
  params.top_p = 0.95f;
  Sampler one = Sampler::Create(params, 500).value();
  std::vector<TokenId> first;
  for (int i = 0; i < 40; ++i) {
    const std::span<const TokenId> all(tokens);
    first.push_back(one.Sample(logits, all.first(i), {}, workspace_)->token);
  }
  // Another sampler, in another order, another cut between prompt and answer, another workspace.
  SamplerWorkspace other;
  for (int i = 39; i >= 0; --i) {
    Sampler again = Sampler::Create(params, 500).value();
    const std::span<const TokenId> all(tokens);
    EXPECT_EQ(again.Sample(logits, all.first(i / 2), all.subspan(i / 2, i - i / 2), other)->token,
              first[i]);
  }
  params.seed = 43;
  Sampler different = Sampler::Create(params, 500).value();
  int equal = 0;
  for (int i = 0; i < 40; ++i) {
    const std::span<const TokenId> all(tokens);
    equal += different.Sample(logits, all.first(i), {}, workspace_)->token == first[i] ? 1 : 0;
  }
  EXPECT_LT(equal, 20);
}

TEST_F(SamplerTest, HotTemperatureReachesTheWholeVocabulary) {
  const std::vector<float> logits = naive::RandomLogits(49152, 5, 5);
  SamplingParams params = Plain();
  params.temperature = 1e6f;
  std::set<TokenId> distinct;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    params.seed = seed;
    distinct.insert(Draw(params, logits));
  }
  EXPECT_GE(distinct.size(), 300u);
}

TEST_F(SamplerTest, GreedyTakesTheLowestIdAmongEquals) {
  std::vector<float> logits = naive::RandomLogits(1000, 1, 6);
  logits[400] = logits[700] = logits[999] = 50;
  for (const float temperature : {0.0f, -0.0f, -1.0f, -3e38f}) {
    SamplingParams params;
    params.temperature = temperature;
    EXPECT_EQ(Draw(params, logits), 400);
    params.logit_bias = {{400, -1.0f}};
    EXPECT_EQ(Draw(params, logits), 700);
    params.dynatemp_range = 5;
    params.xtc_probability = 1;
    params.mirostat = 2;
    EXPECT_EQ(Draw(params, logits), 700);
    params.repeat_penalty = 2;
    EXPECT_EQ(Draw(params, logits, {700}), 999);
  }
}

TEST_F(SamplerTest, TopPZeroAndTopKOneAreGreedy) {
  const std::vector<float> logits = naive::RandomLogits(1000, 0.1, 7);
  SamplingParams greedy;
  greedy.temperature = 0;
  const TokenId best = Draw(greedy, logits);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SamplingParams params = Plain();
    params.seed = seed;
    params.top_p = 0;
    EXPECT_EQ(Draw(params, logits), best);
    params.top_p = 1;
    params.top_k = 1;
    EXPECT_EQ(Draw(params, logits), best);
    params.top_k = 0;
    params.temperature = 1e-7f;
    EXPECT_EQ(Draw(params, logits), best);
    params.temperature = 1;
    params.typical_p = 0;
    EXPECT_GE(Draw(params, logits), 0);
  }
}

TEST_F(SamplerTest, BiasForcesAndBans) {
  const std::vector<float> logits = naive::RandomLogits(1000, 4, 8);
  const TokenId best = naive::From(logits)[0].id;
  const TokenId worst = naive::From(logits).back().id;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SamplingParams params;
    params.seed = seed;
    params.logit_bias = {{worst, 100.0f}};
    EXPECT_EQ(Draw(params, logits), worst);
    params.logit_bias = {{best, -100.0f}};
    EXPECT_NE(Draw(params, logits), best);
  }
}

TEST_F(SamplerTest, MaskHoldsUnderEveryStage) {
  const std::vector<float> logits = naive::RandomLogits(1000, 4, 9);
  std::vector<uint32_t> allowed(32, 0);
  const std::set<TokenId> ids = {0, 31, 32, 500, 999};
  for (const TokenId t : ids) allowed[t / 32] |= 1u << (t % 32);
  std::set<TokenId> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SamplingParams params = seed % 2 == 0 ? SamplingParams() : Plain();
    params.seed = seed;
    params.temperature = 20;
    params.mirostat = static_cast<int>(seed % 3);
    params.xtc_probability = 0.5f;
    params.repeat_penalty = 1.5f;
    Sampler sampler = Sampler::Create(params, 1000).value();
    const TokenId token = sampler.Sample(logits, {}, {}, workspace_, allowed)->token;
    EXPECT_EQ(ids.count(token), 1u) << token;
    seen.insert(token);
  }
  EXPECT_GE(seen.size(), 3u);
  SamplingParams greedy;
  greedy.temperature = 0;
  Sampler sampler = Sampler::Create(greedy, 1000).value();
  TokenId want = 0;
  for (const TokenId t : ids) want = logits[t] > logits[want] ? t : want;
  EXPECT_EQ(sampler.Sample(logits, {}, {}, workspace_, allowed)->token, want);
}

TEST_F(SamplerTest, NothingLeftIsAnError) {
  const std::vector<float> logits = naive::RandomLogits(64, 4, 9);
  const std::vector<uint32_t> none(2, 0);
  Sampler sampler = Sampler::Create(SamplingParams(), 64).value();
  const Result<Sampled> sampled = sampler.Sample(logits, {}, {}, workspace_, none);
  ASSERT_FALSE(sampled.has_value());
  EXPECT_EQ(sampled.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(SamplerTest, LogitsThatAreNotFiniteAreAComputeFault) {
  for (const float bad : {kInf, -kInf, std::nanf("")}) {
    for (const float temperature : {0.0f, 0.8f}) {
      std::vector<float> logits = naive::RandomLogits(1000, 4, 9);
      SamplingParams params;
      params.temperature = temperature;
      Sampler sampler = Sampler::Create(params, 1000).value();
      ASSERT_TRUE(sampler.Sample(logits, {}, {}, workspace_).has_value());
      logits[777] = bad;
      const Result<Sampled> sampled = sampler.Sample(logits, {}, {}, workspace_);
      ASSERT_FALSE(sampled.has_value());
      EXPECT_EQ(sampled.error().code, ErrorCode::kComputeFault);
      EXPECT_THAT(sampled.error().message, testing::HasSubstr("777"));
    }
  }
}

TEST_F(SamplerTest, LogprobsAreTheModelsOwn) {
  const std::vector<float> logits = naive::RandomLogits(5000, 3, 10);
  const naive::Tokens sorted = naive::From(logits);
  double sum = 0;
  for (const naive::Token& t : sorted) sum += std::exp(t.logit);
  for (const int num : {-1, 0, 1, 5, 20, 5000}) {
    for (const float temperature : {0.0f, 0.5f, 2.0f}) {
      SamplingParams params;
      params.temperature = temperature;
      params.num_logprobs = num;
      params.repeat_penalty = 1.7f;
      params.logit_bias = {{17, 30.0f}, {sorted[0].id, -3.0f}};
      Sampler sampler = Sampler::Create(params, 5000).value();
      const Sampled sampled =
          sampler.Sample(logits, std::vector<TokenId>{17, 3}, {}, workspace_).value();
      if (num < 0) {
        EXPECT_TRUE(sampled.top.empty());
        continue;
      }
      EXPECT_NEAR(sampled.logprob, logits[sampled.token] - std::log(sum), 1e-5);
      ASSERT_EQ(sampled.top.size(), static_cast<size_t>(num));
      double mass = 0;
      for (int i = 0; i < num; ++i) {
        EXPECT_EQ(sampled.top[i].token, sorted[i].id);
        EXPECT_NEAR(sampled.top[i].logprob, sorted[i].logit - std::log(sum), 1e-5);
        EXPECT_LE(sampled.top[i].logprob, 0);
        mass += std::exp(sampled.top[i].logprob);
      }
      EXPECT_LE(mass, 1 + 1e-4);
    }
  }
}

// Mirostat as its paper states it, drawing with the same random numbers. Returns the mean surprise.
double ExpectMirostatLikeItsTwin(int version, float tau, const std::vector<float>& logits,
                                 SamplerWorkspace& workspace) {
  const int vocab = static_cast<int>(logits.size());
  SamplingParams params = Plain();
  params.mirostat = version;
  params.mirostat_tau = tau;
  Sampler sampler = Sampler::Create(params, vocab).value();
  const naive::Tokens all = naive::From(logits);
  const std::vector<double> model = naive::Softmax(all);
  double mu = 2 * tau, surprise = 0;
  std::vector<TokenId> generated;
  constexpr int kDraws = 2000;
  int different = 0;
  for (int i = 0; i < kDraws; ++i) {
    naive::Tokens kept;
    if (version == 1) {
      double products = 0, squares = 0;
      for (int j = 0; j < 99; ++j) {
        const double t = std::log((j + 2.0) / (j + 1.0));
        products += t * std::log(model[j] / model[j + 1]);
        squares += t * t;
      }
      const double s = products / squares;
      const double k = std::pow((s - 1) * std::pow(2.0, mu) / (1 - std::pow(vocab, 1 - s)), 1 / s);
      kept = naive::Head(all, static_cast<size_t>(std::max(k, 1.0)));
    } else {
      for (size_t j = 0; j < all.size(); ++j) {
        if (j == 0 || -std::log2(model[j]) <= mu) kept.push_back(all[j]);
      }
      std::sort(kept.begin(), kept.end(), [](auto& a, auto& b) { return a.id < b.id; });
    }
    naive::Tokens sorted = kept;
    naive::Sort(sorted);
    const std::vector<double> sorted_p = naive::Softmax(sorted);
    std::vector<double> p(vocab, 0.0);
    for (size_t j = 0; j < sorted.size(); ++j) p[sorted[j].id] = sorted_p[j];
    double left = sampling::Uniform(params.seed, i, sampling::Stream::kToken);
    size_t chosen = 0;
    while (chosen + 1 < kept.size() && left >= p[kept[chosen].id]) left -= p[kept[chosen++].id];
    const TokenId got = sampler.Sample(logits, {}, generated, workspace)->token;
    different += got != kept[chosen].id ? 1 : 0;
    generated.push_back(0);
    const double bits = -std::log2(p[got]);
    mu -= 0.1 * (bits - tau);
    if (i >= kDraws / 4) surprise += bits / (kDraws * 3 / 4);
  }
  // Rounding at a boundary may turn a draw now and then.
  EXPECT_LE(different, 5) << version << " " << tau;
  return surprise;
}

TEST_F(SamplerTest, LogprobsAfterSamplingAreThoseOfTheDraw) {
  const std::vector<float> logits = naive::RandomLogits(3000, 3, 12);
  SamplingParams params = Plain();
  params.num_logprobs = 10;
  params.logprobs_after_sampling = true;
  const auto sample = [&] {
    Sampler sampler = Sampler::Create(params, 3000).value();
    return sampler.Sample(logits, std::vector<TokenId>{1}, {}, workspace_).value();
  };
  // Nothing is cut: the model's own, of 3000.
  const std::vector<double> own = ById(naive::From(logits), 1, 3000);
  for (const TokenLogprob& t : sample().top) EXPECT_NEAR(std::exp(t.logprob), own[t.token], 1e-6);
  params.temperature = 1.5f;
  params.top_k = 4;
  const naive::Tokens kept = naive::Head(naive::From(logits), 4);
  const std::vector<double> p = ById(kept, 1.5, 3000);
  const Sampled drawn = sample();
  ASSERT_EQ(drawn.top.size(), 4u);
  double mass = 0;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(drawn.top[i].token, kept[i].id);
    EXPECT_NEAR(std::exp(drawn.top[i].logprob), p[kept[i].id], 1e-5);
    mass += std::exp(drawn.top[i].logprob);
  }
  EXPECT_NEAR(mass, 1, 1e-5);
  EXPECT_NEAR(std::exp(drawn.logprob), p[drawn.token], 1e-5);
  params.temperature = 0;
  const Sampled greedy = sample();
  ASSERT_EQ(greedy.top.size(), 1u);
  EXPECT_EQ(greedy.top[0].token, greedy.token);
  EXPECT_EQ(greedy.logprob, 0);
  params.temperature = 1;
  params.mirostat = 2;
  EXPECT_GT(sample().logprob, -20);
}

TEST_F(SamplerTest, MirostatHoldsTheSurprise) {
  std::vector<float> logits(5000);  // Zipf-like, as the method assumes, in a scrambled order
  for (int i = 0; i < 5000; ++i) {
    logits[i * 1237 % 5000] = -1.2f * std::log(static_cast<float>(i) + 1);
  }
  for (const int version : {1, 2}) {
    for (const float tau : {2.0f, 4.0f}) {
      EXPECT_NEAR(ExpectMirostatLikeItsTwin(version, tau, logits, workspace_), tau, 0.15);
    }
  }
}

TEST_F(SamplerTest, MirostatStateIsLeftAloneByAnError) {
  SamplingParams params = Plain();
  params.mirostat = 2;
  std::vector<float> logits = naive::RandomLogits(500, 3, 11);
  std::vector<float> bad = logits;
  bad[3] = kInf;
  Sampler a = Sampler::Create(params, 500).value();
  Sampler b = Sampler::Create(params, 500).value();
  std::vector<TokenId> generated;
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(b.Sample(bad, {}, generated, workspace_).has_value());
    const TokenId token = a.Sample(logits, {}, generated, workspace_)->token;
    EXPECT_EQ(b.Sample(logits, {}, generated, workspace_)->token, token);
    generated.push_back(token);
  }
}

}  // namespace
}  // namespace lb

// Proves that every number a client can send has a meaning or is refused with field, value and
// range.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "sampling/sampler.h"

namespace lb {
namespace {

constexpr int kVocab = 100;
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Validate, DefaultsPass) { EXPECT_TRUE(Validate(SamplingParams(), kVocab).has_value()); }

void ExpectRefused(const char* field, const char* value,
                   const std::function<void(SamplingParams&)>& set) {
  SamplingParams params;
  set(params);
  const Result<void> result = Validate(params, kVocab);
  ASSERT_FALSE(result.has_value()) << field << " " << value;
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(result.error().param, field);
  EXPECT_THAT(result.error().message, testing::HasSubstr(field));
  EXPECT_THAT(result.error().message, testing::HasSubstr(value));
  EXPECT_FALSE(Sampler::Create(params, kVocab).has_value());
}

TEST(Validate, RefusesByName) {
  ExpectRefused("temperature", "nan", [](auto& p) { p.temperature = std::nanf(""); });
  ExpectRefused("temperature", "inf", [](auto& p) { p.temperature = kInf; });
  ExpectRefused("dynatemp_range", "-1", [](auto& p) { p.dynatemp_range = -1; });
  ExpectRefused("dynatemp_exponent", "-1", [](auto& p) { p.dynatemp_exponent = -1; });
  ExpectRefused("top_k", "-2147483648", [](auto& p) { p.top_k = std::numeric_limits<int>::min(); });
  ExpectRefused("top_p", "-0.1", [](auto& p) { p.top_p = -0.1f; });
  ExpectRefused("top_p", "1.5", [](auto& p) { p.top_p = 1.5f; });
  ExpectRefused("min_p", "2", [](auto& p) { p.min_p = 2; });
  ExpectRefused("typical_p", "nan", [](auto& p) { p.typical_p = std::nanf(""); });
  ExpectRefused("top_n_sigma", "inf", [](auto& p) { p.top_n_sigma = kInf; });
  ExpectRefused("xtc_probability", "7", [](auto& p) { p.xtc_probability = 7; });
  ExpectRefused("xtc_threshold", "-1", [](auto& p) { p.xtc_threshold = -1; });
  ExpectRefused("repeat_last_n", "-2", [](auto& p) { p.repeat_last_n = -2; });
  ExpectRefused("repeat_penalty", "0", [](auto& p) { p.repeat_penalty = 0; });
  ExpectRefused("presence_penalty", "1e+30", [](auto& p) { p.presence_penalty = 1e30f; });
  ExpectRefused("frequency_penalty", "-101", [](auto& p) { p.frequency_penalty = -101; });
  ExpectRefused("dry_multiplier", "-1", [](auto& p) { p.dry_multiplier = -1; });
  ExpectRefused("dry_base", "inf", [](auto& p) { p.dry_base = kInf; });
  ExpectRefused("dry_allowed_length", "-1", [](auto& p) { p.dry_allowed_length = -1; });
  ExpectRefused("dry_penalty_last_n", "-2", [](auto& p) { p.dry_penalty_last_n = -2; });
  ExpectRefused("dry_sequence_breakers", "100", [](auto& p) { p.dry_breakers = {{1, 100}}; });
  ExpectRefused("dry_sequence_breakers", "0", [](auto& p) { p.dry_breakers = {{}}; });
  ExpectRefused("mirostat", "3", [](auto& p) { p.mirostat = 3; });
  ExpectRefused("mirostat_tau", "-1", [](auto& p) { p.mirostat_tau = -1; });
  ExpectRefused("mirostat_eta", "1.5", [](auto& p) { p.mirostat_eta = 1.5f; });
  ExpectRefused("samplers", "65", [](auto& p) { p.stages.assign(65, SamplerStage::kTopK); });
  ExpectRefused("logit_bias", "100", [](auto& p) { p.logit_bias = {{100, 1.0f}}; });
  ExpectRefused("logit_bias", "-1", [](auto& p) { p.logit_bias = {{-1, 1.0f}}; });
  ExpectRefused("logit_bias", "101", [](auto& p) { p.logit_bias = {{1, 101.0f}}; });
  ExpectRefused("logit_bias", "nan", [](auto& p) { p.logit_bias = {{1, std::nanf("")}}; });
  ExpectRefused("logprobs", "101", [](auto& p) { p.num_logprobs = 101; });
}

// Whatever is not refused must sample: every float field over hostile values, one and two at a
// time.
TEST(Validate, WhatItAcceptsSamples) {
  const std::vector<float SamplingParams::*> floats = {&SamplingParams::temperature,
                                                       &SamplingParams::dynatemp_range,
                                                       &SamplingParams::dynatemp_exponent,
                                                       &SamplingParams::top_p,
                                                       &SamplingParams::min_p,
                                                       &SamplingParams::typical_p,
                                                       &SamplingParams::top_n_sigma,
                                                       &SamplingParams::xtc_probability,
                                                       &SamplingParams::xtc_threshold,
                                                       &SamplingParams::repeat_penalty,
                                                       &SamplingParams::presence_penalty,
                                                       &SamplingParams::frequency_penalty,
                                                       &SamplingParams::dry_multiplier,
                                                       &SamplingParams::dry_base,
                                                       &SamplingParams::mirostat_tau,
                                                       &SamplingParams::mirostat_eta};
  const std::vector<int SamplingParams::*> ints = {&SamplingParams::top_k,
                                                   &SamplingParams::repeat_last_n,
                                                   &SamplingParams::dry_allowed_length,
                                                   &SamplingParams::mirostat,
                                                   &SamplingParams::num_logprobs,
                                                   &SamplingParams::dry_penalty_last_n};
  const float float_values[] = {-1,    0,      -0.0f, 0.5f,         1, 2, 100, 1e-30f, 1e6f,
                                3e38f, -3e38f, kInf,  std::nanf("")};
  const int int_values[] = {
      -1, 0, 1, 2, 7, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()};
  std::vector<std::function<void(SamplingParams&)>> settings;
  for (const auto field : floats) {
    for (const float value : float_values) {
      settings.push_back([=](SamplingParams& p) { p.*field = value; });
    }
  }
  for (const auto field : ints) {
    for (const int value : int_values) {
      settings.push_back([=](SamplingParams& p) { p.*field = value; });
    }
  }
  const std::vector<TokenId> prompt = {1, 2, 3, 1, 2, 3, 1, 2};
  std::vector<float> logits(kVocab);
  for (int i = 0; i < kVocab; ++i) logits[i] = static_cast<float>(i % 13) - 6;
  std::vector<float> extreme = logits;
  extreme[4] = 3e38f;
  extreme[5] = -3e38f;
  SamplerWorkspace workspace;
  int accepted = 0;
  for (const auto& first : settings) {
    for (const auto& second : settings) {
      SamplingParams params;
      first(params);
      second(params);
      Result<Sampler> sampler = Sampler::Create(params, kVocab);
      if (!sampler) continue;
      ++accepted;
      for (const std::vector<float>& x : {logits, extreme}) {
        const Result<Sampled> sampled = sampler->Sample(x, prompt, {}, workspace);
        ASSERT_TRUE(sampled.has_value());
        ASSERT_TRUE(sampled->token >= 0 && sampled->token < kVocab);
      }
    }
  }
  EXPECT_GT(accepted, 10000);
}

}  // namespace
}  // namespace lb

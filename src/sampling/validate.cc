// The meaning of every value, as ranges. A value outside of them is refused by name.
#include <cmath>
#include <limits>

#include "sampling/sampler.h"

namespace lb {
namespace {

Error Refuse(const char* field, std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message), field};
}

template <typename T>
Result<void> InRange(const char* field, T value, T least, T most) {
  if (value >= least && value <= most) return {};  // false for NaN
  return Refuse(field, fmt::format("{} is {}: allowed is {} to {}", field, value, least, most));
}

Result<void> IsToken(const char* field, TokenId token, int vocab_size) {
  if (token >= 0 && token < vocab_size) return {};
  return Refuse(field, fmt::format("{} names token {}: the vocabulary has 0 to {}", field, token,
                                   vocab_size - 1));
}

Result<void> ValidateBias(const SamplingParams& params, int vocab_size) {
  for (const auto& [token, bias] : params.logit_bias) {
    LB_RETURN_IF_ERROR(IsToken("logit_bias", token, vocab_size));
    if (bias == -std::numeric_limits<float>::infinity()) continue;
    if (!(bias >= -100.0f && bias <= 100.0f)) {
      return Refuse(
          "logit_bias",
          fmt::format("logit_bias of token {} is {}: allowed is -100 (never) to 100", token, bias));
    }
  }
  return {};
}

Result<void> ValidateBreakers(const SamplingParams& params, int vocab_size) {
  constexpr const char* kField = "dry_sequence_breakers";
  constexpr int kMostBreakers = 1024;
  constexpr int kMostTokens = 64;
  LB_RETURN_IF_ERROR(InRange<size_t>(kField, params.dry_breakers.size(), 0, kMostBreakers));
  for (const std::vector<TokenId>& breaker : params.dry_breakers) {
    if (breaker.empty() || breaker.size() > kMostTokens) {
      return Refuse(kField, fmt::format("{} has one of {} tokens: allowed is 1 to {}", kField,
                                        breaker.size(), kMostTokens));
    }
    for (const TokenId token : breaker) LB_RETURN_IF_ERROR(IsToken(kField, token, vocab_size));
  }
  return {};
}

}  // namespace

Result<void> Validate(const SamplingParams& p, int vocab_size) {
  constexpr float kHuge = std::numeric_limits<float>::max();
  constexpr int kMaxInt = std::numeric_limits<int>::max();
  // Negative temperatures and top_n_sigma are the documented "greedy" and "off" of llama.cpp.
  LB_RETURN_IF_ERROR(InRange("temperature", p.temperature, -kHuge, kHuge));
  LB_RETURN_IF_ERROR(InRange("dynatemp_range", p.dynatemp_range, 0.0f, 1e6f));
  LB_RETURN_IF_ERROR(InRange("dynatemp_exponent", p.dynatemp_exponent, 0.0f, 1e3f));
  LB_RETURN_IF_ERROR(InRange("top_k", p.top_k, -1, kMaxInt));
  LB_RETURN_IF_ERROR(InRange("top_p", p.top_p, 0.0f, 1.0f));
  LB_RETURN_IF_ERROR(InRange("min_p", p.min_p, 0.0f, 1.0f));
  LB_RETURN_IF_ERROR(InRange("typical_p", p.typical_p, 0.0f, 1.0f));
  LB_RETURN_IF_ERROR(InRange("top_n_sigma", p.top_n_sigma, -kHuge, 1e6f));
  LB_RETURN_IF_ERROR(InRange("xtc_probability", p.xtc_probability, 0.0f, 1.0f));
  LB_RETURN_IF_ERROR(InRange("xtc_threshold", p.xtc_threshold, 0.0f, 1.0f));
  LB_RETURN_IF_ERROR(InRange("repeat_last_n", p.repeat_last_n, -1, kMaxInt));
  LB_RETURN_IF_ERROR(InRange("repeat_penalty", p.repeat_penalty, 0.01f, 100.0f));
  LB_RETURN_IF_ERROR(InRange("presence_penalty", p.presence_penalty, -100.0f, 100.0f));
  LB_RETURN_IF_ERROR(InRange("frequency_penalty", p.frequency_penalty, -100.0f, 100.0f));
  LB_RETURN_IF_ERROR(InRange("dry_multiplier", p.dry_multiplier, 0.0f, 1e6f));
  LB_RETURN_IF_ERROR(InRange("dry_base", p.dry_base, 0.0f, 1e6f));
  LB_RETURN_IF_ERROR(InRange("dry_allowed_length", p.dry_allowed_length, 0, kMaxInt));
  LB_RETURN_IF_ERROR(InRange("dry_penalty_last_n", p.dry_penalty_last_n, -1, kMaxInt));
  LB_RETURN_IF_ERROR(ValidateBreakers(p, vocab_size));
  LB_RETURN_IF_ERROR(InRange("mirostat", p.mirostat, 0, 2));
  LB_RETURN_IF_ERROR(InRange("mirostat_tau", p.mirostat_tau, 0.0f, 100.0f));
  LB_RETURN_IF_ERROR(InRange("mirostat_eta", p.mirostat_eta, 0.0f, 1.0f));
  LB_RETURN_IF_ERROR(InRange<size_t>("samplers", p.stages.size(), 0, 64));
  LB_RETURN_IF_ERROR(ValidateBias(p, vocab_size));
  return InRange("logprobs", p.num_logprobs, -1, vocab_size);
}

}  // namespace lb

// Mask, bias and the penalties for tokens that have occurred.
#include <limits>

#include "base/check.h"
#include "sampling/stages.h"

namespace lb::sampling {
namespace {

constexpr float kNegInf = -std::numeric_limits<float>::infinity();
constexpr float kBan = -100.0f;

}  // namespace

void ApplyMask(std::span<const uint32_t> allowed, Candidates& candidates) {
  const std::span<float> logits = candidates.EditableLogits();
  CHECK_GE(allowed.size() * 32, logits.size());
  for (size_t begin = 0; begin < logits.size(); begin += 32) {
    const uint32_t word = allowed[begin / 32];
    if (word == ~uint32_t{0}) continue;
    const size_t count = std::min<size_t>(32, logits.size() - begin);
    for (size_t i = 0; i < count; ++i) {
      if ((word >> i & 1) == 0) logits[begin + i] = kNegInf;
    }
  }
}

void ApplyBias(const SamplingParams& params, Candidates& candidates) {
  if (params.logit_bias.empty()) return;
  const auto biased = [](float logit, float bias) {
    if (bias <= kBan || logit == kNegInf) return kNegInf;
    return Candidates::Clamp(logit + bias);
  };
  if (!candidates.dense()) {
    for (const auto& [token, bias] : params.logit_bias) {
      for (Candidate& c : candidates.List()) {
        if (c.id == token) c.logit = biased(c.logit, bias);
      }
    }
    std::erase_if(candidates.List(), [](const Candidate& c) { return c.logit == kNegInf; });
    return;
  }
  const std::span<float> logits = candidates.EditableLogits();
  for (const auto& [token, bias] : params.logit_bias) logits[token] = biased(logits[token], bias);
}

void ApplyPenalties(const SamplingParams& params, const History& history, Workspace& workspace,
                    Candidates& candidates) {
  const int64_t window = history.Window(params.repeat_last_n);
  if (window == 0 || (params.repeat_penalty == 1.0f && params.presence_penalty == 0.0f &&
                      params.frequency_penalty == 0.0f)) {
    return;
  }
  std::vector<int32_t>& counts = workspace.marks;
  workspace.distinct.clear();
  for (int64_t i = 0; i < window; ++i) {
    const TokenId token = history.FromEnd(i);
    if (token < 0 || static_cast<size_t>(token) >= counts.size()) continue;
    if (counts[token]++ == 0) workspace.distinct.push_back(token);
  }
  candidates.EditMarked(workspace.distinct, counts, [&](TokenId, int32_t count, float logit) {
    logit = logit <= 0 ? logit * params.repeat_penalty : logit / params.repeat_penalty;
    return logit - static_cast<float>(count) * params.frequency_penalty - params.presence_penalty;
  });
  for (const TokenId token : workspace.distinct) counts[token] = 0;
}

}  // namespace lb::sampling

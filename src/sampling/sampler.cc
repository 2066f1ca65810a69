#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "sampling/candidates.h"
#include "sampling/history.h"
#include "sampling/random.h"
#include "sampling/stages.h"
#include "sampling/vector_math.h"

namespace lb {
namespace {

using sampling::Candidates;
using sampling::History;
using sampling::Stream;
using sampling::Workspace;

void ApplyStage(SamplerStage stage, const SamplingParams& params, const History& history,
                Workspace& workspace, Candidates& candidates) {
  switch (stage) {
    case SamplerStage::kPenalties:
      return sampling::ApplyPenalties(params, history, workspace, candidates);
    case SamplerStage::kDry:
      return sampling::ApplyDry(params, history, workspace, candidates);
    case SamplerStage::kTopNSigma:
      return sampling::ApplyTopNSigma(params.top_n_sigma, candidates);
    case SamplerStage::kTopK:
      return sampling::ApplyTopK(params.top_k, candidates);
    case SamplerStage::kTypical:
      return sampling::ApplyTypical(params.typical_p, candidates);
    case SamplerStage::kTopP:
      return sampling::ApplyTopP(params.top_p, candidates);
    case SamplerStage::kMinP:
      return sampling::ApplyMinP(params.min_p, candidates);
    case SamplerStage::kXtc:
      return sampling::ApplyXtc(params.xtc_probability, params.xtc_threshold,
                                sampling::Uniform(params.seed, history.size(), Stream::kXtc),
                                candidates);
    case SamplerStage::kTemperature:
      return sampling::ApplyTemperature(params, candidates);
  }
}

bool EditsLogits(SamplerStage stage) {
  return stage == SamplerStage::kPenalties || stage == SamplerStage::kDry;
}

// Which stages still have a say when the most probable token is taken, or mirostat draws.
bool Runs(SamplerStage stage, bool greedy, int mirostat) {
  if (EditsLogits(stage)) return true;
  if (greedy) return false;
  return mirostat == 0 || stage == SamplerStage::kTemperature;
}

void ApplyStages(const SamplingParams& params, const History& history, Workspace& workspace,
                 Candidates& candidates) {
  const bool greedy = params.temperature <= 0.0f;
  for (const SamplerStage stage : params.stages) {
    if (Runs(stage, greedy, params.mirostat)) ApplyStage(stage, params, history, workspace, candidates);
  }
}

// What the client may see of the model's own distribution, before anything changed it.
class Logprobs {
 public:
  Logprobs(std::span<const float> logits, float max, int num_top)
      : logits_(logits), log_sum_(max + std::log(sampling::SumExp(logits, max))) {
    if (num_top <= 0) return;
    std::vector<sampling::Candidate> best;
    sampling::SelectTop(logits, num_top, &best);
    for (const sampling::Candidate& c : best) top_.push_back({c.id, Of(c.id)});
  }
  float Of(TokenId token) const {
    return static_cast<float>(std::min(0.0, logits_[token] - log_sum_));
  }
  std::vector<TokenLogprob> TakeTop() { return std::move(top_); }

 private:
  std::span<const float> logits_;
  double log_sum_;
  std::vector<TokenLogprob> top_;
};

// The distribution that the token was drawn from, in place of the model's own. Tokens that could not
// be drawn are left out.
void ReportDraw(int num_top, Candidates& candidates, Sampled* sampled) {
  candidates.FillProbabilities();
  std::vector<sampling::Candidate>& list = candidates.List();
  std::sort(list.begin(), list.end(), sampling::Better);
  for (const sampling::Candidate& c : list) {
    if (!(c.p > 0)) continue;
    if (c.id == sampled->token) sampled->logprob = std::log(c.p);
    if (static_cast<int>(sampled->top.size()) < num_top) {
      sampled->top.push_back({c.id, std::log(c.p)});
    }
  }
}

Error NotFinite(std::span<const float> logits) {
  size_t i = 0;
  while (i + 1 < logits.size() && std::isfinite(logits[i])) ++i;
  return Fail(ErrorCode::kComputeFault, "the logit of token {} is {}: the forward pass failed", i,
              logits[i]);
}

Error NothingLeft(int vocab_size) {
  return Fail(ErrorCode::kInvalidArgument,
              "no token is left to choose from: the grammar and logit_bias ban all {}", vocab_size);
}

}  // namespace

SamplerWorkspace::SamplerWorkspace() : impl_(new Workspace) {}
SamplerWorkspace::~SamplerWorkspace() { delete impl_; }
SamplerWorkspace::SamplerWorkspace(SamplerWorkspace&& other) noexcept
    : impl_(std::exchange(other.impl_, nullptr)) {}
SamplerWorkspace& SamplerWorkspace::operator=(SamplerWorkspace&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}

Result<Sampler> Sampler::Create(SamplingParams params, int vocab_size) {
  LB_RETURN_IF_ERROR(Validate(params, vocab_size));
  return Sampler(std::move(params), vocab_size);
}

Sampler::Sampler(SamplingParams params, int vocab_size)
    : params_(std::move(params)), vocab_size_(vocab_size), mirostat_mu_(2 * params_.mirostat_tau) {}

Result<Sampled> Sampler::Sample(std::span<const float> logits, std::span<const TokenId> prompt,
                                std::span<const TokenId> generated, SamplerWorkspace& workspace,
                                std::span<const uint32_t> allowed) {
  CHECK_EQ(logits.size(), static_cast<size_t>(vocab_size_));
  Workspace& scratch = *workspace;
  if (scratch.marks.size() != logits.size()) scratch.marks.assign(logits.size(), 0);
  const History history{prompt, generated};

  float max = 0;
  if (!sampling::FiniteMax(logits, &max)) return NotFinite(logits);

  Candidates candidates(logits, scratch);
  if (!allowed.empty()) sampling::ApplyMask(allowed, candidates);
  sampling::ApplyBias(params_, candidates);
  if (candidates.edited() && !std::isfinite(candidates.MaxLogit())) {
    return NothingLeft(vocab_size_);
  }

  ApplyStages(params_, history, scratch, candidates);
  const bool greedy = params_.temperature <= 0.0f;

  Sampled sampled;
  if (greedy) {
    const float best = candidates.edited() ? candidates.MaxLogit() : max;
    sampled.token = sampling::IndexOf(candidates.logits(), best);
  } else {
    const double u = sampling::Uniform(params_.seed, history.size(), Stream::kToken);
    double p = 0;
    switch (params_.mirostat) {
      case 0:
        sampled.token = candidates.Draw(u, &p);
        break;
      case 1:
        sampled.token = sampling::DrawMirostat1(params_, vocab_size_, u, &mirostat_mu_, candidates);
        break;
      default:
        sampled.token = sampling::DrawMirostat2(params_, u, &mirostat_mu_, candidates);
    }
  }
  if (params_.num_logprobs >= 0 && params_.logprobs_after_sampling) {
    if (greedy) candidates.KeepBest();
    ReportDraw(params_.num_logprobs, candidates, &sampled);
  } else if (params_.num_logprobs >= 0) {
    Logprobs logprobs(logits, max, params_.num_logprobs);
    sampled.logprob = logprobs.Of(sampled.token);
    sampled.top = logprobs.TakeTop();
  }
  return sampled;
}

int Sampler::BestNeeded() const {
  const SamplingParams& p = params_;
  if (p.num_logprobs >= 0 || p.mirostat != 0 || p.dry_multiplier != 0) return 0;
  if (std::ranges::any_of(p.logit_bias, [](const auto& entry) { return entry.second > 0; })) return 0;
  const bool penalties = p.repeat_penalty != 1 || p.presence_penalty != 0 || p.frequency_penalty != 0;
  // Biases and penalties that only lower: what they can push out of the best is at most what they name.
  if (penalties && (p.repeat_penalty < 1 || p.presence_penalty < 0 || p.frequency_penalty < 0 || p.repeat_last_n < 0)) return 0;
  const int lowered = (penalties ? p.repeat_last_n : 0) + static_cast<int>(p.logit_bias.size());
  if (p.temperature <= 0) return 1 + lowered;
  for (const SamplerStage stage : p.stages) {
    // As many as the vocabulary cut nothing, and the draw goes by ids.
    if (stage == SamplerStage::kTopK && p.top_k > 0) return p.top_k < vocab_size_ ? p.top_k + lowered : 0;
    const bool idle = EditsLogits(stage) || (stage == SamplerStage::kTopNSigma && p.top_n_sigma < 0) ||
                      (stage == SamplerStage::kTypical && p.typical_p >= 1) || (stage == SamplerStage::kTopP && p.top_p >= 1) ||
                      (stage == SamplerStage::kMinP && p.min_p <= 0) || (stage == SamplerStage::kXtc && p.xtc_probability <= 0) ||
                      (stage == SamplerStage::kTopK && p.top_k <= 0);
    if (!idle) return 0;
  }
  return 0;
}

Result<Sampled> Sampler::SampleBest(std::span<const TokenLogit> best, std::span<const TokenId> prompt,
                                    std::span<const TokenId> generated, SamplerWorkspace& workspace) {
  CHECK_GT(best.size(), size_t{0});
  Workspace& scratch = *workspace;
  if (scratch.marks.size() != static_cast<size_t>(vocab_size_)) scratch.marks.assign(static_cast<size_t>(vocab_size_), 0);
  if (best[0].token >= 0 && !std::isfinite(best[0].logit)) {
    return Fail(ErrorCode::kComputeFault, "the logit of token {} is {}: the forward pass failed", best[0].token, best[0].logit);
  }
  const History history{prompt, generated};
  Candidates candidates(best, scratch);
  sampling::ApplyBias(params_, candidates);
  if (candidates.size() == 0) return NothingLeft(vocab_size_);
  ApplyStages(params_, history, scratch, candidates);
  Sampled sampled;
  if (params_.temperature <= 0.0f) {
    const auto& list = candidates.List();
    sampled.token = std::min_element(list.begin(), list.end(), sampling::Better)->id;
  } else {
    double p = 0;
    sampled.token = candidates.Draw(sampling::Uniform(params_.seed, history.size(), Stream::kToken), &p);
  }
  return sampled;
}

}  // namespace lb

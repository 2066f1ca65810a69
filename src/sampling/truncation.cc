// The stages that cut the tail (or, xtc, the head).
#include <algorithm>
#include <cmath>
#include <limits>

#include "sampling/stages.h"
#include "sampling/vector_math.h"

namespace lb::sampling {

void ApplyTopNSigma(float n, Candidates& candidates) {
  if (n <= 0.0f) return;
  double sum = 0, squares = 0;
  int64_t count = 0;
  const float max = candidates.MaxLogit();
  const auto add = [&](float logit) {
    const double distance = double{logit} - max;  // from the greatest, so that squares lose nothing
    sum += distance;
    squares += distance * distance;
    ++count;
  };
  if (candidates.dense()) {
    for (const float logit : candidates.logits()) {
      if (logit != -std::numeric_limits<float>::infinity()) add(logit);
    }
  } else {
    for (const Candidate& c : candidates.List()) add(c.logit);
  }
  const double mean = sum / static_cast<double>(count);
  const double variance = std::max(0.0, squares / static_cast<double>(count) - mean * mean);
  candidates.KeepAbove(static_cast<float>(max - n * std::sqrt(variance)));
}

void ApplyTopK(int k, Candidates& candidates) {
  // A mask may leave fewer than k of the best: what a dense form sorts here is sorted in the list, too.
  if (k <= 0 || (k >= candidates.size() && !candidates.uncut())) return;
  candidates.KeepTop(k);
}

void ApplyTypical(float p, Candidates& candidates) {
  if (p >= 1.0f) return;
  candidates.FillProbabilities();
  std::vector<Candidate>& list = candidates.List();
  double entropy = 0;
  for (const Candidate& c : list) {
    if (c.p > 0) entropy -= c.p * std::log(c.p);
  }
  for (Candidate& c : list) {
    c.key = c.p > 0 ? static_cast<float>(std::fabs(-std::log(c.p) - entropy))
                    : std::numeric_limits<float>::max();
  }
  candidates.KeepMass(p, /*beyond=*/true);
}

void ApplyTopP(float p, Candidates& candidates) {
  if (p >= 1.0f) return;
  if (p <= 0.0f) {
    candidates.KeepBest();
    return;
  }
  bool filled = false;
  if (candidates.dense()) {
    // Mostly the head alone reaches p: then the tail is summed but never gathered or ordered.
    const std::span<const float> logits = candidates.logits();
    const float max = candidates.MaxLogit();
    const double total = SumExp(logits, max);
    for (const float head : {4.0f, 8.0f, 12.0f, 16.0f}) {
      if (SumExp(logits, max, max - head) < p * total) continue;
      candidates.KeepAbove(max - head);
      for (Candidate& c : candidates.List()) {
        c.p = static_cast<float>(ExpNegative(c.logit - max) / total);
      }
      filled = true;
      break;
    }
  }
  if (!filled) candidates.FillProbabilities();
  for (Candidate& c : candidates.List()) c.key = -c.logit;
  candidates.KeepMass(p, /*beyond=*/false);
}

void ApplyMinP(float p, Candidates& candidates) {
  if (p <= 0.0f) return;
  candidates.KeepAbove(candidates.MaxLogit() + std::log(p));
}

void ApplyXtc(float probability, float threshold, double u, Candidates& candidates) {
  if (probability <= 0.0f || threshold > 0.5f || u > probability || candidates.size() < 2) return;
  candidates.FillProbabilities();
  std::vector<Candidate>& list = candidates.List();
  const Candidate* least = nullptr;
  for (const Candidate& c : list) {
    if (c.p >= threshold && (least == nullptr || Better(*least, c))) least = &c;
  }
  if (least == nullptr) return;
  const TokenId kept = least->id;
  std::erase_if(list, [&](const Candidate& c) { return c.p >= threshold && c.id != kept; });
}

}  // namespace lb::sampling

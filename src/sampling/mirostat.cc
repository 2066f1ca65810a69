#include <algorithm>
#include <cmath>

#include "sampling/stages.h"
#include "sampling/vector_math.h"

namespace lb::sampling {
namespace {

// Steers mu by the surprise of what was drawn, in bits.
void Learn(const SamplingParams& params, double p, float* mu) {
  const double surprise = -std::log2(std::max(p, 1e-30));
  *mu -= static_cast<float>(params.mirostat_eta * (surprise - params.mirostat_tau));
}

// The exponent of the Zipf law that the best 100 tokens follow.
double ZipfExponent(const std::vector<Candidate>& best) {
  double products = 0, squares = 0;
  for (size_t i = 0; i + 1 < best.size(); ++i) {
    const double t = std::log((static_cast<double>(i) + 2) / (static_cast<double>(i) + 1));
    products += t * (double{best[i].logit} - best[i + 1].logit);
    squares += t * t;
  }
  return squares > 0 ? products / squares : 0;
}

// How many tokens to keep so that the expected surprise is mu bits: equation 14 of the paper.
int TopKForSurprise(double exponent, double mu, int vocab_size, int candidates) {
  const double epsilon = exponent - 1;
  const double width = std::fabs(epsilon) < 1e-6
                           ? 1 / std::log(static_cast<double>(vocab_size))  // the limit at 0
                           : epsilon / (1 - std::pow(static_cast<double>(vocab_size), -epsilon));
  const double k = std::pow(width * std::exp2(mu), 1 / exponent);
  if (!(k >= 1)) return 1;  // NaN too
  return k < candidates ? static_cast<int>(k) : candidates;
}

}  // namespace

TokenId DrawMirostat1(const SamplingParams& params, int vocab_size, double u, float* mu,
                      Candidates& candidates) {
  constexpr int kBest = 100;
  std::vector<Candidate>& list = candidates.List();
  std::vector<Candidate> best(std::min<size_t>(list.size(), kBest));
  std::partial_sort_copy(list.begin(), list.end(), best.begin(), best.end(), Better);
  candidates.KeepTop(
      TopKForSurprise(ZipfExponent(best), *mu, vocab_size, static_cast<int>(list.size())));
  double p = 0;
  const TokenId token = candidates.Draw(u, &p);
  Learn(params, p, mu);
  return token;
}

TokenId DrawMirostat2(const SamplingParams& params, double u, float* mu, Candidates& candidates) {
  // Keeps what surprises by at most mu bits, but always the best.
  std::vector<Candidate>& list = candidates.List();
  const float max = candidates.MaxLogit();
  double sum = 0;
  for (const Candidate& c : list) sum += ExpNegative(c.logit - max);
  const double least = max + std::log(sum) - double{*mu} * std::log(2.0);
  candidates.KeepAbove(static_cast<float>(std::min<double>(least, max)));
  double p = 0;
  const TokenId token = candidates.Draw(u, &p);
  Learn(params, p, mu);
  return token;
}

}  // namespace lb::sampling

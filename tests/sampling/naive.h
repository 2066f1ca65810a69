// The stages once more, as plainly as they can be written: full sorts, double precision, no dense
// form.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include "base/strong_id.h"

namespace lb::naive {

struct Token {
  TokenId id;
  double logit;
};
using Tokens = std::vector<Token>;  // sorted: best first, lower id first among equals

inline void Sort(Tokens& tokens) {
  std::sort(tokens.begin(), tokens.end(), [](const Token& a, const Token& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  });
}

inline Tokens From(const std::vector<float>& logits) {
  Tokens tokens;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isfinite(logits[i])) tokens.push_back({static_cast<TokenId>(i), logits[i]});
  }
  Sort(tokens);
  return tokens;
}

inline std::vector<double> Softmax(const Tokens& tokens) {
  std::vector<double> p;
  double sum = 0;
  for (const Token& t : tokens) {
    p.push_back(std::exp(t.logit - tokens[0].logit));
    sum += p.back();
  }
  for (double& x : p) x /= sum;
  return p;
}

inline Tokens Head(const Tokens& tokens, size_t n) {
  return Tokens(tokens.begin(), tokens.begin() + std::min(n, tokens.size()));
}

inline Tokens TopP(const Tokens& tokens, double limit) {
  const std::vector<double> p = Softmax(tokens);
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    sum += p[i];
    if (sum >= limit) return Head(tokens, i + 1);
  }
  return tokens;
}

inline Tokens MinP(const Tokens& tokens, double share) {
  const std::vector<double> p = Softmax(tokens);
  Tokens kept;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] >= share * p[0]) kept.push_back(tokens[i]);
  }
  return kept;
}

inline Tokens Typical(const Tokens& tokens, double limit) {
  const std::vector<double> p = Softmax(tokens);
  double entropy = 0;
  for (const double x : p) entropy -= x * std::log(x);
  std::vector<size_t> order(p.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto distance = [&](size_t i) { return std::fabs(-std::log(p[i]) - entropy); };
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return distance(a) < distance(b); });
  Tokens kept;
  double sum = 0;
  for (const size_t i : order) {
    kept.push_back(tokens[i]);
    sum += p[i];
    if (sum > limit) break;
  }
  Sort(kept);
  return kept;
}

inline Tokens TopNSigma(const Tokens& tokens, double n) {
  double mean = 0;
  for (const Token& t : tokens) mean += t.logit / static_cast<double>(tokens.size());
  double variance = 0;
  for (const Token& t : tokens) {
    variance += (t.logit - mean) * (t.logit - mean) / static_cast<double>(tokens.size());
  }
  Tokens kept;
  for (const Token& t : tokens) {
    if (t.logit >= tokens[0].logit - n * std::sqrt(variance)) kept.push_back(t);
  }
  return kept;
}

inline Tokens Xtc(const Tokens& tokens, double threshold) {
  const std::vector<double> p = Softmax(tokens);
  size_t above = 0;
  while (above < p.size() && p[above] >= threshold) ++above;
  if (above < 2) return tokens;
  return Tokens(tokens.begin() + (above - 1), tokens.end());
}

// The longest suffix of `history` that also ends just before position `at`, when `at` tokens of it
// are looked at as the past of history[at].
inline int RepetitionBefore(const std::vector<TokenId>& history, int at, int longest) {
  int n = 0;
  while (n < longest && at - 1 - n >= 0 && history[at - 1 - n] == history[history.size() - 1 - n]) {
    ++n;
  }
  return n;
}

inline std::vector<float> RandomLogits(int n, double spread, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0, static_cast<float>(spread));
  std::vector<float> logits(n);
  for (float& x : logits) x = normal(rng);
  return logits;
}

}  // namespace lb::naive

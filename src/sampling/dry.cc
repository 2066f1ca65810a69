#include <algorithm>
#include <cmath>

#include "sampling/stages.h"

namespace lb::sampling {
namespace {

// How many of the newest tokens lie after the newest breaker; `window` when there is none in it.
// A repetition is not followed across a breaker.
int64_t TokensSinceBreaker(const std::vector<std::vector<TokenId>>& breakers,
                           const History& history, int64_t window) {
  for (int64_t i = 0; i < window; ++i) {
    int64_t longest = -1;
    for (const std::vector<TokenId>& breaker : breakers) {
      // breaker[0] is i tokens back, the rest follow it.
      const int64_t tail = static_cast<int64_t>(breaker.size()) - 1;
      if (tail > i || tail <= longest) continue;
      bool match = true;
      for (int64_t j = 0; j <= tail && match; ++j) match = breaker[j] == history.FromEnd(i - j);
      if (match) longest = tail;
    }
    if (longest >= 0) return i - longest;
  }
  return window;
}

bool IsBreaker(const std::vector<std::vector<TokenId>>& breakers, TokenId token) {
  return std::any_of(breakers.begin(), breakers.end(), [token](const auto& breaker) {
    return breaker.size() == 1 && breaker[0] == token;
  });
}

}  // namespace

void ApplyDry(const SamplingParams& params, const History& history, Workspace& workspace,
              Candidates& candidates) {
  if (params.dry_multiplier == 0.0f || params.dry_base < 1.0f) return;
  const int64_t window = history.Window(params.dry_penalty_last_n);
  if (window <= params.dry_allowed_length) return;
  const int64_t limit = TokensSinceBreaker(params.dry_breakers, history, window);
  if (limit < params.dry_allowed_length) return;

  // matches[i]: how many tokens before the one i back (it included) equal the newest ones. This is
  // the Z function of the history read backwards: each comparison that succeeds moves `right`, so
  // it is linear.
  std::vector<int32_t>& matches = workspace.matches;
  matches.assign(window, 0);
  int64_t left = 0, right = 0;
  for (int64_t i = 1; i < window; ++i) {
    int64_t n = i < right ? std::min<int64_t>(right - i, matches[i - left]) : 0;
    while (i + n < window && history.FromEnd(n) == history.FromEnd(i + n)) ++n;
    matches[i] = static_cast<int32_t>(n);
    if (i + n > right) {
      left = i;
      right = i + n;
    }
  }

  // What followed such a match would continue the repetition. Marks hold its length + 1, so that a
  // repetition of length 0 (dry_allowed_length 0) is a mark too.
  std::vector<int32_t>& marks = workspace.marks;
  workspace.distinct.clear();
  for (int64_t i = 1; i < window; ++i) {
    const int64_t length = std::min<int64_t>(matches[i], limit);
    if (length < params.dry_allowed_length) continue;
    const TokenId next = history.FromEnd(i - 1);
    if (next < 0 || static_cast<size_t>(next) >= marks.size()) continue;
    if (IsBreaker(params.dry_breakers, next)) continue;
    if (marks[next] == 0) workspace.distinct.push_back(next);
    marks[next] = std::max(marks[next], static_cast<int32_t>(length + 1));
  }
  candidates.EditMarked(workspace.distinct, marks, [&](TokenId, int32_t mark, float logit) {
    const double exponent = mark - 1 - params.dry_allowed_length;
    const double penalty = params.dry_multiplier * std::pow(double{params.dry_base}, exponent);
    return static_cast<float>(std::max(logit - penalty, -double{Candidates::kLimit}));
  });
  for (const TokenId token : workspace.distinct) marks[token] = 0;
}

}  // namespace lb::sampling

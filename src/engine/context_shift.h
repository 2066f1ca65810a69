// Which tokens stay when a full context is shifted (--context-shift).
#pragma once

#include <algorithm>
#include <cstdint>

namespace lb {

struct ContextShift {
  int64_t keep = 0;     // tokens at the front that stay
  int64_t dropped = 0;  // behind them; what follows moves up
};

// `wanted`: tokens at the front to keep; -1 the whole first prompt. At least the first token stays,
// on which models lean, and at most half of the context, so that a shift makes room for a quarter
// of it. Of the rest the earlier half goes.
inline ContextShift PlanShift(int64_t wanted, int64_t first_prompt, int64_t num_tokens) {
  const int64_t keep = wanted < 0 ? first_prompt : wanted;
  ContextShift shift;
  shift.keep = std::clamp<int64_t>(keep, 1, std::max<int64_t>(1, num_tokens / 2));
  shift.dropped = std::max<int64_t>(1, (num_tokens - shift.keep) / 2);
  return shift;
}

}  // namespace lb

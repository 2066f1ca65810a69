#include "api/reasoning/budget.h"

#include <algorithm>

namespace lb::api {

ThinkingBudget::ThinkingBudget(const text::Tokenizer& tokenizer, const ReasoningFormat& format,
                               std::string_view opened, int64_t max_tokens)
    : max_tokens_(max_tokens),
      forced_(tokenizer.Encode(format.forced, false, true)),
      tracker_(tokenizer, format, opened),
      mask_((static_cast<size_t>(tokenizer.num_tokens()) + 31) / 32, 0) {}

std::span<const uint32_t> ThinkingBudget::Allowed() {
  if (max_tokens_ >= 0 && tracker_.state() == ThoughtTracker::State::kThinking &&
      num_thought_ >= max_tokens_ && tracker_.at_character()) {
    forcing_ = true;
  }
  if (!forcing_) return {};
  std::fill(mask_.begin(), mask_.end(), 0u);
  const auto id = static_cast<size_t>(forced_[num_forced_]);
  mask_[id / 32] |= 1u << (id % 32);
  return mask_;
}

void ThinkingBudget::Take(TokenId token) {
  const bool was_thinking = tracker_.state() == ThoughtTracker::State::kThinking;
  tracker_.Take(token);
  if (forcing_) {
    if (++num_forced_ < forced_.size()) return;
    forcing_ = false;
    num_forced_ = 0;
    return;
  }
  if (was_thinking && tracker_.state() == ThoughtTracker::State::kThinking) ++num_thought_;
}

}  // namespace lb::api

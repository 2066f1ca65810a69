#include "api/reasoning/budget.h"

#include <algorithm>

#include "base/utf8.h"

namespace lb::api {

ThinkingBudget::ThinkingBudget(const text::Tokenizer& tokenizer, const ReasoningFormat& format,
                               std::string_view opened, int64_t max_tokens)
    : tokenizer_(tokenizer),
      format_(format),
      max_tokens_(max_tokens),
      forced_(tokenizer.Encode(format.forced, false, true)),
      state_(opened.ends_with(format.open) ? State::kThinking : State::kBefore),
      mask_((static_cast<size_t>(tokenizer.num_tokens()) + 31) / 32, 0) {}

std::span<const uint32_t> ThinkingBudget::Allowed() {
  if (state_ == State::kThinking && num_thought_ >= max_tokens_ && IncompleteUtf8Tail(tail_) == 0) {
    state_ = State::kForcing;
  }
  if (state_ != State::kForcing) return {};
  std::fill(mask_.begin(), mask_.end(), 0u);
  const auto id = static_cast<size_t>(forced_[num_forced_]);
  mask_[id / 32] |= 1u << (id % 32);
  return mask_;
}

void ThinkingBudget::Take(TokenId token) {
  if (state_ == State::kOver) return;
  if (state_ == State::kForcing) {
    if (++num_forced_ == forced_.size()) state_ = State::kOver;
    return;
  }
  tail_ += tokenizer_.TokenBytes(token, true);
  if (state_ == State::kThinking) {
    if (tail_.find(format_.close) == std::string::npos) {
      ++num_thought_;
      if (tail_.size() > format_.close.size()) tail_.erase(0, tail_.size() - format_.close.size());
      return;
    }
    // On channels another thought may follow.
    tail_.clear();
    state_ = format_.kind == ReasoningFormat::Kind::kChannels ? State::kBefore : State::kOver;
    return;
  }
  if (format_.kind == ReasoningFormat::Kind::kChannels) {
    if (tail_.ends_with(format_.open)) {
      tail_.clear();
      state_ = State::kThinking;
    } else if (tail_.size() > 1024) {
      tail_.erase(0, tail_.size() - format_.open.size());
    }
    return;
  }
  // Tags open a thought at the very beginning, or never.
  size_t start = 0;
  while (start < tail_.size() && IsSpace(tail_[start])) ++start;
  const std::string_view words = std::string_view(tail_).substr(start);
  if (words.starts_with(format_.open)) {
    tail_.clear();
    state_ = State::kThinking;
  } else if (!std::string_view(format_.open).starts_with(words)) {
    state_ = State::kOver;
  }
}

}  // namespace lb::api

#include "api/reasoning/thought_tracker.h"

#include "base/utf8.h"

namespace lb::api {
namespace {

constexpr std::string_view kFinal = "<|channel|>final", kMessage = "<|message|>";
constexpr size_t kMaxTail = 4096;  // marks are short; a channel's header has no limit of its own

}  // namespace

ThoughtTracker::ThoughtTracker(const text::Tokenizer& tokenizer, const ReasoningFormat& format,
                               std::string_view opened)
    : tokenizer_(tokenizer), format_(format), state_(State::kBefore) {
  if (opened.ends_with(format.open)) {
    state_ = State::kThinking;
  } else if (format.kind == ReasoningFormat::Kind::kChannels) {
    tail_ = opened;
    TakeOnChannels();
  }
}

bool ThoughtTracker::at_character() const { return IncompleteUtf8Tail(tail_) == 0; }

void ThoughtTracker::Take(TokenId token) {
  rest_.clear();
  const bool channels = format_.kind == ReasoningFormat::Kind::kChannels;
  if (state_ == State::kOver && !channels) return;
  tail_ += tokenizer_.TokenBytes(token, true);
  if (state_ == State::kThinking) {
    const size_t close = tail_.find(format_.close);
    if (close == std::string::npos) {
      if (tail_.size() > format_.close.size()) tail_.erase(0, tail_.size() - format_.close.size());
      return;
    }
    if (!channels) rest_ = tail_.substr(close + format_.close.size());
    tail_.clear();
    state_ = channels ? State::kBefore : State::kOver;
    return;
  }
  if (channels) return TakeOnChannels();
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

void ThoughtTracker::TakeOnChannels() {
  if (tail_.ends_with(format_.open)) {
    tail_.clear();
    state_ = State::kThinking;
    return;
  }
  if (state_ == State::kBefore && tail_.ends_with(kMessage) &&
      tail_.find(kFinal) != std::string::npos) {
    state_ = State::kOver;
  }
  if (tail_.size() > kMaxTail) tail_.erase(0, tail_.size() - kMaxTail / 2);
}

}  // namespace lb::api

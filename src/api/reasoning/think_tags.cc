#include "api/reasoning/think_tags.h"

#include <utility>

namespace lb::api {
namespace {

size_t LeadingSpace(std::string_view text) {
  size_t n = 0;
  while (n < text.size() && IsSpace(text[n])) ++n;
  return n;
}

size_t WithoutTrailingSpace(std::string_view text) {
  size_t n = text.size();
  while (n > 0 && IsSpace(text[n - 1])) --n;
  return n;
}

}  // namespace

ThinkTags::ThinkTags(std::string open, std::string close, bool opened)
    : open_(std::move(open)),
      close_(std::move(close)),
      state_(opened ? State::kLead : State::kStart),
      has_reasoning_(opened) {}

std::vector<Segment> ThinkTags::Push(std::string_view text) {
  held_ += text;
  std::vector<Segment> out;
  while (!held_.empty() && Step(&out)) {
  }
  return out;
}

std::vector<Segment> ThinkTags::Flush() {
  std::vector<Segment> out;
  SegmentKind kind = SegmentKind::kContent;
  if (state_ == State::kThought) kind = SegmentKind::kReasoning;
  if (state_ == State::kLead) {
    // White space alone is not a thought; a part of a repeated tag is.
    AppendSegment(SegmentKind::kMarkup, held_.substr(0, LeadingSpace(held_)), &out);
    held_.erase(0, LeadingSpace(held_));
    kind = SegmentKind::kReasoning;
  }
  AppendSegment(kind, std::exchange(held_, {}), &out);
  return out;
}

// Takes from what is held as much as is certain; false when that was nothing.
bool ThinkTags::Step(std::vector<Segment>* out) {
  const auto take = [&](SegmentKind kind, size_t bytes) {
    AppendSegment(kind, held_.substr(0, bytes), out);
    held_.erase(0, bytes);
    return bytes > 0;
  };
  switch (state_) {
    case State::kStart:
    case State::kLead: {
      const std::string_view words = std::string_view(held_).substr(LeadingSpace(held_));
      if (words.starts_with(open_)) {
        take(SegmentKind::kMarkup, held_.size() - words.size() + open_.size());
        state_ = State::kLead;
        has_reasoning_ = true;
        return true;
      }
      if (open_.starts_with(words)) return false;  // that tag may still come
      if (state_ == State::kStart) {
        state_ = State::kContent;
      } else {
        take(SegmentKind::kMarkup, held_.size() - words.size());
        state_ = State::kThought;
      }
      return true;
    }
    case State::kThought: {
      const size_t close = held_.find(close_);
      if (close == std::string::npos) {
        const size_t part = PartialAtEnd(held_, close_);
        const size_t words = held_.size() - part;
        return take(SegmentKind::kReasoning,
                    WithoutTrailingSpace(std::string_view(held_).substr(0, words)));
      }
      const size_t words = WithoutTrailingSpace(std::string_view(held_).substr(0, close));
      take(SegmentKind::kReasoning, words);
      take(SegmentKind::kMarkup, close - words + close_.size());
      state_ = State::kTrail;
      return true;
    }
    case State::kTrail:
      take(SegmentKind::kMarkup, LeadingSpace(held_));
      if (!held_.empty()) state_ = State::kContent;
      return true;
    case State::kContent:
      return take(SegmentKind::kContent, held_.size());
  }
  return false;
}

}  // namespace lb::api

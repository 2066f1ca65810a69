#include "api/reasoning/channels.h"

#include <utility>

namespace lb::api {
namespace {

constexpr std::string_view kMessage = "<|message|>";
constexpr std::string_view kChannel = "<|channel|>";
// What ends a message's text. The last two begin the next header.
constexpr std::string_view kMarks[] = {"<|end|>", "<|return|>", "<|call|>", "<|start|>", kChannel};
// No header is longer. A model that writes one all the same gets its words through.
constexpr size_t kMaxHeader = 512;

}  // namespace

Channels::Channels(std::string_view opened, bool keep_calls) : keep_calls_(keep_calls) {
  Push(opened);
  // The answer may begin with the rest of a header.
  if (keep_calls && opened.empty()) begins_ = true;
}

std::vector<Segment> Channels::Push(std::string_view text) {
  held_ += text;
  std::vector<Segment> out;
  while (!held_.empty() && Step(&out)) {
  }
  return out;
}

std::vector<Segment> Channels::Flush() {
  std::vector<Segment> out;
  AppendSegment(header_ ? SegmentKind::kMarkup : body_, std::exchange(held_, {}), &out);
  return out;
}

bool Channels::Step(std::vector<Segment>* out) {
  const auto take = [&](SegmentKind kind, size_t bytes) {
    AppendSegment(kind, held_.substr(0, bytes), out);
    held_.erase(0, bytes);
    return bytes > 0;
  };
  if (begins_) {
    constexpr std::string_view kTo = " to=";
    if (held_.size() < kTo.size() && kTo.starts_with(held_)) return false;
    begins_ = false;
    header_ = held_.starts_with(kTo);
  }
  if (header_) {
    const size_t message = held_.find(kMessage);
    if (message == std::string::npos) {
      if (held_.size() <= kMaxHeader) return false;
      header_ = false;
      body_ = SegmentKind::kContent;
      return take(body_, kMaxHeader);
    }
    const std::string_view header = std::string_view(held_).substr(0, message);
    call_ = keep_calls_ && header.find(" to=") != std::string_view::npos;
    const bool thought = !call_ && header.find("<|channel|>analysis") != std::string_view::npos;
    body_ = thought ? SegmentKind::kReasoning : SegmentKind::kContent;
    has_reasoning_ |= thought;
    header_ = false;
    return take(call_ ? SegmentKind::kContent : SegmentKind::kMarkup, message + kMessage.size());
  }
  size_t mark = std::string::npos, length = 0, part = 0;
  bool opens = false;
  for (const std::string_view word : kMarks) {
    const size_t at = held_.find(word);
    part = std::max(part, PartialAtEnd(held_, word));
    if (at >= mark) continue;
    mark = at;
    opens = word == kChannel || word == "<|start|>";
    length = word.size();
  }
  if (mark == std::string::npos) return take(body_, held_.size() - part);
  take(body_, mark);
  if (opens) {
    header_ = true;  // the mark stays, to be seen as a part of the header
    return true;
  }
  take(call_ ? SegmentKind::kContent : SegmentKind::kMarkup, length);
  body_ = SegmentKind::kContent;
  call_ = false;
  return true;
}

}  // namespace lb::api

// Tells what a model thinks from what it says, while the text comes in pieces.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lb::api {

// kCall: of a tool call, its marks included.
enum class SegmentKind { kContent, kReasoning, kMarkup, kCall };

struct Segment {
  SegmentKind kind = SegmentKind::kContent;
  std::string text;
};

// One per answer. The segments joined are the text that was pushed: each byte gets one kind, and
// which one depends on the text only, never on how it was cut. Bytes are held back only while their
// kind is open.
class ReasoningSplitter {
 public:
  virtual ~ReasoningSplitter() = default;
  virtual std::vector<Segment> Push(std::string_view text) = 0;
  // The end of the answer: what was held back.
  virtual std::vector<Segment> Flush() = 0;
  virtual bool has_reasoning() const = 0;  // a thought was begun
  virtual bool thinking() const = 0;       // and is not over
};

// Appends `text`, to the last segment if that is of the same kind.
inline void AppendSegment(SegmentKind kind, std::string text, std::vector<Segment>* out) {
  if (text.empty()) return;
  if (!out->empty() && out->back().kind == kind) {
    out->back().text += text;
  } else {
    out->push_back({kind, std::move(text)});
  }
}

// The length of the longest end of `text` that is a beginning of `word`, but not all of it.
inline size_t PartialAtEnd(std::string_view text, std::string_view word) {
  size_t n = word.empty() ? 0 : std::min(text.size(), word.size() - 1);
  while (n > 0 && !word.starts_with(text.substr(text.size() - n))) --n;
  return n;
}

inline bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace lb::api

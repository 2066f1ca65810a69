#include "api/tools/tool_parser.h"

#include <algorithm>
#include <utility>

#include "api/random_id.h"

namespace lb::api {
namespace {

constexpr size_t kMaxNameBytes = 128;

}  // namespace

bool IsCallName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.' || c == ':' || c == '/';
         });
}

void ToolParser::Push(std::string_view text, ToolOutput* out) {
  out_ = out;
  held_ += text;
  while (!held_.empty() && !done() && Step()) {
  }
  out_ = nullptr;
}

void ToolParser::Flush(bool whole, ToolOutput* out) {
  out_ = out;
  bool call = in_call_;
  if (!done()) Finish(whole);
  call = call || in_call_ || done();
  if (in_call_ && whole) EndCall();
  in_call_ = after_call_ = false;
  Take(call ? SegmentKind::kCall : SegmentKind::kContent, held_.size());
  out_ = nullptr;
}

const std::string* ToolParser::TakeWords(std::span<const std::string> marks, size_t* at) {
  if (after_call_) {
    size_t space = 0;
    while (space < held_.size() && IsSpace(held_[space])) ++space;
    Take(SegmentKind::kCall, space);
    if (held_.empty()) return nullptr;
    after_call_ = false;
  }
  size_t first = std::string::npos, part = 0;
  const std::string* found = nullptr;
  for (const std::string& mark : marks) {
    const size_t here = held_.find(mark);
    part = std::max(part, PartialAtEnd(held_, mark));
    // Of two at the same place the longer one.
    if (here < first || (here == first && found != nullptr && mark.size() > found->size())) {
      first = here;
      found = &mark;
    }
  }
  size_t words = found != nullptr ? first : held_.size() - part;
  while (words > 0 && IsSpace(held_[words - 1])) --words;
  if (words > 0) {
    only_space_ = false;
    Take(SegmentKind::kContent, words);
    first -= words;
  }
  if (found == nullptr) return nullptr;
  *at = first;
  return found;
}

void ToolParser::Take(SegmentKind kind, size_t bytes) {
  AppendSegment(kind, held_.substr(0, bytes), &out_->segments);
  held_.erase(0, bytes);
}

void ToolParser::BeginCall(std::string name, std::string id) {
  if (id.empty() || !used_ids_.insert(id).second) {
    do {
      id = ids_ == CallIds::kNineLetters ? RandomId("", 9) : RandomId("call_", 24);
    } while (!used_ids_.insert(id).second);
  }
  out_->deltas.push_back({num_calls_++, std::move(id), std::move(name), {}});
  in_call_ = true;
  has_arguments_ = only_space_ = false;
}

void ToolParser::Arguments(std::string_view text) {
  if (text.empty()) return;
  has_arguments_ = true;
  const int index = num_calls_ - 1;
  if (out_->deltas.empty() || out_->deltas.back().index != index) {
    out_->deltas.push_back({index, {}, {}, {}});
  }
  out_->deltas.back().arguments += text;
}

void ToolParser::EndCall() {
  if (!has_arguments_) Arguments("{}");
  in_call_ = false;
  after_call_ = true;
}

}  // namespace lb::api

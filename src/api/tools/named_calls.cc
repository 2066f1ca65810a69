#include "api/tools/named_calls.h"

#include <algorithm>

namespace lb::api {
namespace {

using Header = NamedCallsFormat::Header;

// No header is longer.
constexpr size_t kMaxHeaderBytes = 1024;
const std::string kFence = "```";

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

// What stands before the first `mark`; all of it when there is none.
std::string_view Before(std::string_view text, std::string_view mark) {
  return text.substr(0, std::min(text.find(mark), text.size()));
}

// What stands behind the first `mark`; "" when there is none.
std::string_view Behind(std::string_view text, std::string_view mark) {
  const size_t at = text.find(mark);
  return at == std::string_view::npos ? std::string_view() : text.substr(at + mark.size());
}

std::string_view WithoutPrefix(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

std::vector<std::string> Joined(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

NamedCalls::NamedCalls(NamedCallsFormat format, const ToolSet& tools, CallIds ids, int max_calls)
    : ToolParser(tools, ids, max_calls),
      format_(std::move(format)),
      marks_(Joined(format_.begins, format_.asides)) {}

bool NamedCalls::Step() {
  switch (state_) {
    case State::kWords:
      return StepWords();
    case State::kHeader:
      return StepHeader();
    case State::kArguments:
      return StepArguments();
    case State::kAfter:
      return StepAfter();
  }
  return false;
}

bool NamedCalls::StepWords() {
  size_t at = 0;
  if (format_.header == Header::kChannels && only_space_) {
    // The prompt has begun the header.
    constexpr std::string_view kTo = "to=";
    while (at < held_.size() && IsSpace(held_[at])) ++at;
    const std::string_view rest = std::string_view(held_).substr(at, kTo.size());
    if (kTo.starts_with(rest) && rest != kTo) return false;
    if (rest == kTo) {
      header_ = seen_ = 0;
      state_ = State::kHeader;
      return true;
    }
    at = 0;
  }
  const std::string* mark = TakeWords(marks_, &at);
  if (mark == nullptr) return false;
  at += mark->size();
  if (mark >= marks_.data() + format_.begins.size()) {
    Take(SegmentKind::kCall, at);
    after_call_ = true;
    return true;
  }
  header_ = seen_ = at;
  state_ = State::kHeader;
  return true;
}

std::optional<NamedCalls::Named> NamedCalls::ReadHeader(std::string_view header) const {
  std::string_view name = header, id;
  const std::string& mark = format_.before_arguments;
  switch (format_.header) {
    case Header::kName:
    case Header::kKimi:
      if (header.find(mark) == std::string_view::npos || !Trim(Behind(header, mark)).empty()) {
        return std::nullopt;
      }
      name = Before(header, mark);
      break;
    case Header::kMistral:
      id = Trim(Before(Behind(header, "[CALL_ID]"), mark));
      name = Before(Before(header, mark), "[CALL_ID]");
      break;
    case Header::kDeepSeek: {
      if (header.find(mark) == std::string_view::npos) return std::nullopt;
      const std::string_view behind = Trim(Behind(header, mark));
      // The kind, "function", comes first where the name is behind the mark.
      name = behind.empty() || behind.starts_with(kFence) ? Before(header, mark)
                                                          : Before(behind, "\n");
      break;
    }
    case Header::kSolar:
      id = Trim(Before(header, "<|tool_call:name|>"));
      name = Before(Behind(header, "<|tool_call:name|>"), mark);
      break;
    case Header::kChannels:
      if (header.find(mark) == std::string_view::npos) return std::nullopt;
      name = Behind(Before(header, mark), "to=");
      name = WithoutPrefix(name.substr(0, std::min(name.find_first_of(" <\n"), name.size())),
                           "functions.");
      break;
  }
  name = Trim(name);
  if (format_.header == Header::kKimi) {
    id = name;
    name = WithoutPrefix(name.substr(0, std::min(name.rfind(':'), name.size())), "functions.");
  }
  if (!IsCallName(name) || (!id.empty() && !IsCallName(id))) return std::nullopt;
  return Named{std::string(name), std::string(id)};
}

// The header ends where the arguments' object begins, or where a call without arguments ends.
bool NamedCalls::StepHeader() {
  size_t brace = held_.find('{', seen_), finish = std::string::npos, part = 0;
  for (const std::string& end : format_.ends) {
    // A mark may have begun in what was seen.
    finish =
        std::min(finish, held_.find(end, std::max(header_, seen_ - std::min(seen_, end.size()))));
    part = std::max(part, PartialAtEnd(held_, end));
  }
  const size_t stop = std::min(brace, finish);
  if (stop == std::string::npos && held_.size() - header_ <= kMaxHeaderBytes) {
    seen_ = held_.size();
    return false;
  }
  std::optional<Named> named;
  if (stop != std::string::npos) {
    named = ReadHeader(std::string_view(held_).substr(header_, stop - header_));
  }
  if (!named) {
    // The mark was a word like any other.
    Take(SegmentKind::kContent, header_);
    only_space_ = false;
    state_ = State::kWords;
    return true;
  }
  BeginCall(std::move(named->name), std::move(named->id));
  Take(SegmentKind::kCall, stop);
  arguments_ = {};
  state_ = State::kArguments;
  if (stop == finish) {
    EndCall();
    state_ = State::kAfter;
  }
  return true;
}

bool NamedCalls::StepArguments() {
  std::string text;
  bool done = false;
  // The object says itself where it ends. A mark in it ends it only where it is not closed.
  const std::string_view stop = format_.ends.empty() ? std::string_view() : format_.ends.front();
  const size_t taken = arguments_.Take(held_, stop, &text, &done);
  Arguments(text);
  Take(SegmentKind::kCall, taken);
  if (!done) return false;
  EndCall();
  state_ = State::kAfter;
  return true;
}

bool NamedCalls::StepAfter() {
  size_t at = 0;
  while (at < held_.size() && IsSpace(held_[at])) ++at;
  Take(SegmentKind::kCall, at);
  if (held_.empty()) return false;
  std::vector<std::string> marks = format_.ends;
  if (format_.header == Header::kDeepSeek) marks.push_back(kFence);
  for (const std::string& mark : marks) {
    if (held_.starts_with(mark)) {
      Take(SegmentKind::kCall, mark.size());
      if (mark != kFence) state_ = State::kWords;
      return true;
    }
  }
  for (const std::string& mark : marks) {
    if (mark.starts_with(held_)) return false;
  }
  state_ = State::kWords;
  return true;
}

void NamedCalls::Finish(bool) {
  if (state_ == State::kAfter) Take(SegmentKind::kCall, held_.size());
  if (state_ == State::kHeader) {
    // The end may be that of a call without arguments, where its mark was the stop token.
    const auto named = ReadHeader(std::string_view(held_).substr(header_));
    const bool marked = held_.find(format_.before_arguments, header_) != std::string::npos;
    if (named && marked) BeginCall(named->name, named->id);
  }
  state_ = State::kWords;
}

}  // namespace lb::api

#include "api/tools/xml_calls.h"

#include <algorithm>

#include "api/json_reader.h"
#include "api/json_writer.h"
#include "api/tools/schema_types.h"
#include "base/utf8.h"

namespace lb::api {
namespace {

// No name and no key is longer.
constexpr size_t kMaxTagBytes = 512;

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string> Marks(const XmlCallsFormat& format) {
  std::vector<std::string> marks = {format.call};
  if (!format.wrap.empty()) marks.push_back(format.wrap);
  return marks;
}

// Without its quotes.
std::string JsonText(std::string_view text) {
  std::string out;
  AppendJsonString(&out, text);
  return out.substr(1, out.size() - 2);
}

}  // namespace

XmlCalls::XmlCalls(XmlCallsFormat format, const ToolSet& tools, CallIds ids, int max_calls)
    : ToolParser(tools, ids, max_calls), format_(std::move(format)), marks_(Marks(format_)) {}

bool XmlCalls::Step() {
  switch (state_) {
    case State::kWords:
      return StepWords();
    case State::kWrapped:
      return StepWrapped();
    case State::kName:
      return StepName();
    case State::kInside:
      return StepInside();
    case State::kKey:
      return StepKey();
    case State::kValueTag:
      return StepValueTag();
    case State::kLineBreak:
      if (held_[0] == '\n') Take(SegmentKind::kCall, 1);
      state_ = State::kValue;
      return true;
    case State::kValue:
      return StepValue();
    case State::kAfter:
      return StepAfter();
  }
  return false;
}

XmlCalls::Match XmlCalls::Next(const std::string& tag, size_t at, size_t* end) const {
  if (tag.empty()) return Match::kNo;
  while (at < held_.size() && IsSpace(held_[at])) ++at;
  const std::string_view rest = std::string_view(held_).substr(at, tag.size());
  if (rest == tag) {
    *end = at + tag.size();
    return Match::kYes;
  }
  return tag.starts_with(rest) ? Match::kPart : Match::kNo;
}

XmlCalls::Match XmlCalls::TagEnd(size_t at, const std::string& tag_end, size_t* word_end,
                                 size_t* end, std::string_view* attributes) const {
  const Match missing = held_.size() - at > kMaxTagBytes ? Match::kNo : Match::kPart;
  if (tag_end.empty()) {
    *word_end = *end = held_.find_first_of("\n<", at);
    return *end == std::string::npos ? missing : Match::kYes;
  }
  const bool quoted = tag_end[0] == '"';
  *word_end = held_.find(quoted ? "\"" : tag_end, at);
  if (*word_end == std::string::npos) return missing;
  *end = *word_end + tag_end.size();
  if (!quoted) return Match::kYes;
  const std::string_view close = std::string_view(tag_end).substr(1);
  const size_t closed = held_.find(close, *word_end + 1);
  if (closed == std::string::npos) return missing;
  *attributes = std::string_view(held_).substr(*word_end + 1, closed - *word_end - 1);
  *end = closed + close.size();
  return Match::kYes;
}

void XmlCalls::Odd(size_t bytes) {
  Take(SegmentKind::kContent, bytes);
  only_space_ = after_call_ = false;
  state_ = State::kWords;
}

bool XmlCalls::StepWords() {
  size_t at = 0;
  const std::string* mark = TakeWords(marks_, &at);
  if (mark == nullptr) return false;
  seen_ = at + mark->size();
  state_ = mark == marks_.data() ? State::kName : State::kWrapped;
  return true;
}

bool XmlCalls::StepWrapped() {
  size_t end = 0;
  const Match match = Next(format_.call, seen_, &end);
  if (match == Match::kPart) return false;
  if (match == Match::kNo) {
    Odd(seen_);
  } else {
    seen_ = end;
    state_ = State::kName;
  }
  return true;
}

bool XmlCalls::StepName() {
  size_t word_end = 0, end = 0;
  std::string_view attributes;
  const Match match = TagEnd(seen_, format_.name_end, &word_end, &end, &attributes);
  if (match == Match::kPart) return false;
  std::string_view name;
  if (match == Match::kYes) {
    name = Trim(std::string_view(held_).substr(seen_, word_end - seen_));
  }
  if (!IsCallName(name)) {
    Odd(seen_);
    return true;
  }
  function_ = name;
  has_keys_ = false;
  BeginCall(function_, {});
  Take(SegmentKind::kCall, end);
  state_ = State::kInside;
  return true;
}

bool XmlCalls::StepInside() {
  size_t end = 0;
  const Match key = Next(format_.key, 0, &end);
  if (key == Match::kYes) {
    Take(SegmentKind::kCall, end);
    state_ = State::kKey;
    return true;
  }
  const Match close = Next(format_.call_end, 0, &end);
  if (close == Match::kYes) {
    CloseCall();
    Take(SegmentKind::kCall, end);
    return true;
  }
  const Match wrap = Next(format_.wrap_end, 0, &end);
  if (wrap == Match::kYes) {
    CloseCall();
    return true;
  }
  if (key == Match::kPart || close == Match::kPart || wrap == Match::kPart) return false;
  // What stands between tags says nothing.
  Take(SegmentKind::kCall, std::min(held_.find_first_of("<]", 1), held_.size()));
  return true;
}

bool XmlCalls::StepKey() {
  size_t word_end = 0, end = 0;
  std::string_view attributes;
  const Match match = TagEnd(0, format_.key_end, &word_end, &end, &attributes);
  if (match == Match::kPart) return false;
  if (match == Match::kNo) {
    state_ = State::kInside;
    return true;
  }
  key_ = Trim(std::string_view(held_).substr(0, word_end));
  kind_ = KindOf(key_);
  if (attributes.find("string=\"true\"") != std::string_view::npos) kind_ = Kind::kText;
  if (attributes.find("string=\"false\"") != std::string_view::npos) kind_ = Kind::kAny;
  Take(SegmentKind::kCall, end);
  if (!format_.value.empty()) {
    state_ = State::kValueTag;
  } else {
    BeginValue(kind_);
  }
  return true;
}

bool XmlCalls::StepValueTag() {
  size_t end = 0;
  const Match match = Next(format_.value, 0, &end);
  if (match == Match::kPart) return false;
  if (match == Match::kNo) {
    state_ = State::kInside;
  } else {
    Take(SegmentKind::kCall, end);
    BeginValue(kind_);
  }
  return true;
}

void XmlCalls::BeginValue(Kind kind) {
  kind_ = kind;
  Arguments(has_keys_ ? ", " : "{");
  has_keys_ = true;
  std::string key;
  AppendJsonString(&key, key_);
  Arguments(key + ": ");
  if (kind_ == Kind::kText) Arguments("\"");
  seen_ = 0;
  state_ = format_.line_breaks ? State::kLineBreak : State::kValue;
}

// The end tag's beginning. kPart: `*at` is where it may be.
XmlCalls::Match XmlCalls::FindValueEnd(size_t* at) {
  for (;; ++seen_) {
    seen_ = held_.find(format_.value_end, seen_);
    if (seen_ == std::string::npos) {
      *at = seen_ = held_.size() - PartialAtEnd(held_, format_.value_end);
      return Match::kPart;
    }
    *at = seen_;
    const size_t behind = seen_ + format_.value_end.size();
    size_t end = 0;
    bool part = false;
    for (const std::string* tag : {&format_.key, &format_.call_end, &format_.wrap_end}) {
      const Match match = Next(*tag, behind, &end);
      if (match == Match::kYes) return match;
      part |= match == Match::kPart;
    }
    if (part) return Match::kPart;
  }
}

bool XmlCalls::StepValue() {
  size_t at = 0;
  if (FindValueEnd(&at) == Match::kYes) {
    EndValue(std::string_view(held_).substr(0, at));
    Take(SegmentKind::kCall, at + format_.value_end.size());
    state_ = State::kInside;
    return true;
  }
  if (kind_ != Kind::kText) return false;
  // The line break before the end tag may be one that is not the value's.
  if (format_.line_breaks && at > 0 && held_[at - 1] == '\n') --at;
  at -= IncompleteUtf8Tail(std::string_view(held_).substr(0, at));
  if (at == 0) return false;
  Arguments(JsonText(std::string_view(held_).substr(0, at)));
  Take(SegmentKind::kCall, at);
  seen_ -= at;
  return false;
}

void XmlCalls::EndValue(std::string_view rest) {
  if (format_.line_breaks && rest.ends_with('\n')) rest.remove_suffix(1);
  if (kind_ == Kind::kText) {
    Arguments(JsonText(rest) + "\"");
    return;
  }
  const std::string_view word = Trim(rest);
  if (kind_ == Kind::kTextOrNull && word == "null") {
    Arguments(word);
  } else if (kind_ == Kind::kAny && word == "True") {  // as Python has it
    Arguments("true");
  } else if (kind_ == Kind::kAny && word == "False") {
    Arguments("false");
  } else if (kind_ == Kind::kAny && word == "None") {
    Arguments("null");
  } else if (kind_ == Kind::kAny && ParseJson(word).has_value()) {
    Arguments(word);
  } else {
    std::string text;
    AppendJsonString(&text, rest);
    Arguments(text);
  }
}

void XmlCalls::CloseCall() {
  if (has_keys_) Arguments("}");
  EndCall();
  state_ = State::kAfter;
}

bool XmlCalls::StepAfter() {
  size_t end = 0;
  const Match wrap = Next(format_.wrap_end, 0, &end);
  if (wrap == Match::kYes) {
    Take(SegmentKind::kCall, end);
    state_ = State::kWords;
    return true;
  }
  if (wrap == Match::kPart && !held_.empty()) return false;
  state_ = State::kWords;
  return true;
}

void XmlCalls::Finish(bool whole) {
  if (state_ == State::kAfter) Take(SegmentKind::kCall, held_.size());
  if (state_ == State::kValue || state_ == State::kLineBreak) {
    size_t at = 0;
    FindValueEnd(&at);
    const std::string_view rest = std::string_view(held_).substr(0, at);
    if (whole || held_.size() >= at + format_.value_end.size()) {
      EndValue(rest);
    } else if (kind_ == Kind::kText) {
      Arguments(JsonText(rest));
    }
  }
  if (whole && in_call()) CloseCall();
  state_ = State::kWords;
  seen_ = 0;
}

XmlCalls::Kind XmlCalls::KindOf(const std::string& key) const {
  const Tool* tool = tools().Find(function_);
  if (tool == nullptr) return Kind::kAny;
  const SchemaTypes types = TypesOfProperty(tool->parameters, key);
  if (!types.text || types.other) return Kind::kAny;
  return types.null ? Kind::kTextOrNull : Kind::kText;
}

}  // namespace lb::api

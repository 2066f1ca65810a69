#include "api/tools/json_calls.h"

#include <utility>

namespace lb::api {
namespace {

const std::string kFence = "```";

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> words) {
  for (const std::string_view other : words) {
    if (word == other) return true;
  }
  return false;
}

}  // namespace

const std::string& JsonCalls::end() const { return fenced_ ? kFence : format_.end; }

bool JsonCalls::ArgumentsKey() const {
  return IsOneOf(key_, {"arguments", "parameters"}) || (format_.key_is_name && level_ == 0);
}

bool JsonCalls::IsKnown(const std::string& name) const { return tools().Find(name) != nullptr; }

bool JsonCalls::Step() {
  if (state_ == State::kWords) return StepWords();
  if (state_ == State::kArguments) return StepArguments();
  while (scan_ < held_.size()) {
    const Look look = Scan(held_[scan_]);
    if (look == Look::kWait) break;
    if (look == Look::kOdd) {
      Odd();
      return true;
    }
    if (state_ == State::kWords || state_ == State::kArguments || done()) return true;
  }
  if (in_call() || state_ == State::kAfter) TakeScanned();
  return false;
}

bool JsonCalls::StepWords() {
  bare_ = fenced_ = list_ = false;
  if (format_.bare && only_space_) {
    size_t at = 0;
    while (at < held_.size() && IsSpace(held_[at])) ++at;
    const bool fence = held_.compare(at, kFence.size(), kFence) == 0;
    if (fence) {
      at += kFence.size();
      while (at < held_.size() && held_[at] >= 'a' && held_[at] <= 'z') ++at;
      while (at < held_.size() && IsSpace(held_[at])) ++at;
    }
    const std::string_view rest = std::string_view(held_).substr(at);
    if (rest.empty() || (!fence && kFence.starts_with(rest))) return false;
    if (rest[0] == '{' || rest[0] == '[') {
      bare_ = true;
      fenced_ = fence;
      scan_ = at;
      state_ = State::kBegun;
      return true;
    }
  }
  size_t at = 0;
  const std::string* mark = TakeWords(format_.begins, &at);
  if (mark == nullptr) return false;
  scan_ = at + mark->size();
  state_ = State::kBegun;
  return true;
}

bool JsonCalls::StepArguments() {
  std::string text;
  bool done = false;
  const size_t taken = arguments_.Take(held_, end(), &text, &done);
  Arguments(text);
  Take(SegmentKind::kCall, taken);
  if (done) state_ = State::kRest;
  return done;
}

JsonCalls::Look JsonCalls::Next() {
  ++scan_;
  return Look::kGo;
}

JsonCalls::Look JsonCalls::Scan(char c) {
  switch (state_) {
    case State::kBegun:
      if (IsSpace(c)) return Next();
      if (c == '[' && !list_) {
        list_ = true;
        return Next();
      }
      if (c != '{') return Look::kOdd;
      BeginObject();
      return Next();
    case State::kKey:
      if (IsSpace(c) || c == ',') return Next();
      if (c == '"') {
        key_.clear();
        reader_ = {};
        state_ = State::kKeyText;
        return Next();
      }
      if (c != '}') return Look::kOdd;
      if (level_ == 0) {
        // Without arguments it is a call where a mark says so.
        if (name_.empty() || bare_) return Look::kOdd;
        ++scan_;
        Begin();
        End();
        return Look::kGo;
      }
      --level_;
      return Next();
    case State::kKeyText:
      if (reader_.Feed(c, &key_)) {
        if (!TakeKey()) return Look::kOdd;
        state_ = State::kColon;
      }
      return Next();
    case State::kColon:
      if (c == ':') {
        state_ = State::kValue;
      } else if (!IsSpace(c)) {
        return Look::kOdd;
      }
      return Next();
    case State::kValue:
      return IsSpace(c) ? Next() : ScanValue(c);
    case State::kText:
      if (reader_.Feed(c, &text_)) {
        if (!TakeText()) return Look::kOdd;
        if (!name_.empty() && !held_arguments_.empty()) {
          ++scan_;
          Begin();
          state_ = State::kRest;
          return Look::kGo;
        }
      }
      return Next();
    case State::kHeld:
      held_arguments_ += c;
      if (span_.Feed(c)) state_ = State::kKey;
      return Next();
    case State::kSkip:
      if (span_.Feed(c)) state_ = in_call() ? State::kRest : State::kKey;
      return Next();
    case State::kRest:
      return ScanRest(c);
    default:
      return ScanAfter(c);
  }
}

// An answer that is some other object is not held back to its end.
bool JsonCalls::TakeKey() const {
  return !bare_ || level_ > 0 ||
         IsOneOf(key_, {"name", "function", "type", "id", "arguments", "parameters"});
}

// Begins at the value's first byte.
JsonCalls::Look JsonCalls::ScanValue(char c) {
  if (format_.key_is_name && level_ == 0) {
    if (!IsCallName(key_)) return Look::kOdd;
    name_ = key_;
  }
  const bool quote = c == '"', opens = c == '{' || c == '[';
  if (ArgumentsKey() && !name_.empty()) {
    Begin();
    state_ = State::kArguments;
    return Look::kGo;
  }
  if (ArgumentsKey() && (quote || opens)) {
    held_arguments_ = c;
    span_ = {};
    span_.Feed(c);
    state_ = State::kHeld;
  } else if (c == '{' && IsOneOf(key_, {"function", "tool_call"})) {
    ++level_;
    state_ = State::kKey;
  } else if (quote) {
    text_.clear();
    reader_ = {};
    state_ = State::kText;
  } else if (opens) {
    span_ = {};
    span_.Feed(c);
    state_ = State::kSkip;
  } else if (c == ',' || c == '}' || c == ']') {
    state_ = State::kKey;  // the end of a number or a word
    return Look::kGo;
  }
  return Next();
}

// A text of the call's object is complete.
bool JsonCalls::TakeText() {
  state_ = State::kKey;
  if (IsOneOf(key_, {"name", "tool_name", "function"})) {
    if (!IsCallName(text_) || (bare_ && !IsKnown(text_))) return false;
    name_ = text_;
  } else if (IsOneOf(key_, {"id", "tool_call_id"})) {
    id_ = text_;
  }
  return true;
}

// Whether the mark that ends calls comes next; `*partly`: perhaps.
bool JsonCalls::AtEnd(bool* partly) const {
  const std::string_view rest = std::string_view(held_).substr(scan_, end().size());
  *partly = rest.size() < end().size() && end().starts_with(rest);
  return !end().empty() && rest == end();
}

JsonCalls::Look JsonCalls::ScanRest(char c) {
  bool partly = false;
  if (c == '"' || c == '{' || c == '[') {
    span_ = {};
    span_.Feed(c);
    state_ = State::kSkip;
  } else if (c == '}') {
    if (level_-- == 0) {
      ++scan_;
      End();
      return Look::kGo;
    }
  } else if (AtEnd(&partly)) {
    End();
    return Look::kGo;
  } else if (partly) {
    return Look::kWait;
  }
  return Next();
}

// What follows an object.
JsonCalls::Look JsonCalls::ScanAfter(char c) {
  bool partly = false;
  if (c == '{') {
    TakeScanned();
    BeginObject();
  } else if (AtEnd(&partly)) {
    scan_ += end().size();
    TakeScanned();
    after_call_ = true;
    state_ = State::kWords;
    return Look::kGo;
  } else if (partly) {
    return Look::kWait;
  } else if (c == ']' && list_) {
    list_ = false;
  } else if (!IsSpace(c) && c != '}' && !((list_ || end().empty()) && (c == ',' || c == ';'))) {
    TakeScanned();
    after_call_ = false;
    state_ = State::kWords;
    return Look::kGo;
  }
  return Next();
}

void JsonCalls::BeginObject() {
  state_ = State::kKey;
  level_ = 0;
  name_.clear();
  id_.clear();
  held_arguments_.clear();
}

void JsonCalls::Begin() {
  BeginCall(std::move(name_), std::move(id_));
  name_.clear();
  id_.clear();
  TakeScanned();
  arguments_ = {};
  std::string text;
  bool done = false;
  arguments_.Take(held_arguments_, {}, &text, &done);
  Arguments(text);
  held_arguments_.clear();
}

void JsonCalls::End() {
  EndCall();
  TakeScanned();
  state_ = State::kAfter;
}

void JsonCalls::TakeScanned() { Take(SegmentKind::kCall, std::exchange(scan_, 0)); }

void JsonCalls::Odd() {
  Take(SegmentKind::kContent, std::exchange(scan_, 0));
  only_space_ = after_call_ = false;
  state_ = State::kWords;
}

void JsonCalls::Finish(bool) {
  if (state_ == State::kAfter) Take(SegmentKind::kCall, held_.size());
  state_ = State::kWords;
  scan_ = 0;
}

}  // namespace lb::api

// Calls whose arguments are written one by one between tags: Qwen3-Coder, GLM, MiniMax, Seed,
// DeepSeek V3.2 and more.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/tools/tool_parser.h"

namespace lb::api {

// WRAP CALL name NAME_END (KEY key KEY_END value VALUE_END)* CALL_END WRAP_END, with white space
// between the tags.
struct XmlCallsFormat {
  std::string wrap, wrap_end;  // around one or more calls; may be missing in an answer; "": none
  std::string call;            // "<function="
  std::string name_end;        // ">"; "": a line break or the next tag
  std::string key;             // "<parameter="
  std::string key_end;         // ">"; behind a quote: the quote, more attributes and ">"
  std::string value;           // a tag before the value; "": none
  std::string value_end, call_end;
  bool line_breaks = false;  // the line break before and behind a value is not its
};

// A value is a text where the tool's schema says so (or the tag: string="true"), else JSON, and a
// text again where it is not JSON. A closing tag counts only where a tag of the call follows, so
// that a text may hold one.
class XmlCalls final : public ToolParser {
 public:
  XmlCalls(XmlCallsFormat format, const ToolSet& tools, CallIds ids, int max_calls);

 protected:
  bool Step() override;
  void Finish(bool whole) override;

 private:
  enum class State {
    kWords,
    kWrapped,
    kName,
    kInside,
    kKey,
    kValueTag,
    kLineBreak,
    kValue,
    kAfter
  };
  enum class Kind { kText, kTextOrNull, kAny };
  enum class Match { kNo, kPart, kYes };
  bool StepWords();
  bool StepWrapped();
  bool StepName();
  bool StepInside();
  bool StepKey();
  bool StepValueTag();
  bool StepValue();
  bool StepAfter();
  // Whether `tag` comes at `at` or behind white space there; `*end` is then behind it. "" never.
  Match Next(const std::string& tag, size_t at, size_t* end) const;
  // Looks for the end of a name or key; `*attributes` is what stands between its quote and there.
  Match TagEnd(size_t at, const std::string& tag_end, size_t* word_end, size_t* end,
               std::string_view* attributes) const;
  Match FindValueEnd(size_t* at);
  Kind KindOf(const std::string& key) const;
  void BeginValue(Kind kind);
  void Text(std::string_view text);
  void EndValue(std::string_view rest);
  void CloseCall();
  void Odd(size_t bytes);

  const XmlCallsFormat format_;
  const std::vector<std::string> marks_;  // what begins calls
  State state_ = State::kWords;
  size_t seen_ = 0;  // of held_: where the name begins, or where the end of a value may be
  std::string function_, key_;
  bool has_keys_ = false;
  Kind kind_ = Kind::kAny;
};

}  // namespace lb::api

// Calls that are JSON objects with a name and arguments: Hermes, Qwen, Llama 3, Mistral's lists,
// Granite, Command R and more.
#pragma once

#include <string>
#include <vector>

#include "api/tools/json_value.h"
#include "api/tools/tool_parser.h"

namespace lb::api {

struct JsonCallsFormat {
  std::vector<std::string> begins;  // marks before an object or a list of objects
  std::string end;                  // the mark behind; "": none
  // An answer that begins with a call of a known tool needs no marks; it may stand between ```.
  bool bare = false;
  bool key_is_name = false;  // {"name": {arguments}}
};

// Objects may follow one another with nothing between them. The name is "name", "tool_name" or a
// text "function"; the arguments are "arguments" or "parameters"; both may stand inside an object
// "function". Other keys say nothing.
class JsonCalls final : public ToolParser {
 public:
  JsonCalls(JsonCallsFormat format, const ToolSet& tools, CallIds ids, int max_calls)
      : ToolParser(tools, ids, max_calls), format_(std::move(format)) {}

 protected:
  bool Step() override;
  void Finish(bool whole) override;

 private:
  enum class State {
    kWords,
    kBegun,      // behind a mark: an object or a list must come
    kKey,        // inside an object: a key or its end must come
    kKeyText,    // inside a key
    kColon,      // behind it
    kValue,      // a value must come
    kText,       // inside a value that is a text and matters
    kHeld,       // inside arguments that came before the name
    kSkip,       // inside a value that does not matter
    kArguments,  // of the call that has begun
    kRest,       // behind them, up to the end of the object
    kAfter,      // behind an object
  };
  bool StepWords();
  bool StepArguments();
  // What came of the next byte, held_[scan_]: it was taken or changed the state, it cannot stand
  // there, or more must be seen.
  enum class Look { kGo, kOdd, kWait };
  Look Scan(char c);
  Look ScanValue(char c);
  Look ScanRest(char c);
  Look ScanAfter(char c);
  Look Next();
  bool TakeKey() const;
  bool TakeText();
  bool AtEnd(bool* partly) const;
  bool IsKnown(const std::string& name) const;
  void BeginObject();
  void Begin();
  void End();
  void Odd();
  void TakeScanned();
  bool ArgumentsKey() const;
  const std::string& end() const;

  const JsonCallsFormat format_;
  State state_ = State::kWords;
  size_t scan_ = 0;  // bytes of held_ that were looked at
  bool bare_ = false, fenced_ = false, list_ = false;
  int level_ = 0;  // objects inside the call's own that are open
  std::string key_, text_, name_, id_, held_arguments_;
  JsonSpan span_;
  JsonStringText reader_;
  JsonArguments arguments_;
};

}  // namespace lb::api

// Tells a model's tool calls from its words, while the text comes in pieces.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/reasoning/splitter.h"
#include "api/tools/tool_call.h"
#include "api/tools/tool_set.h"

namespace lb::api {

enum class CallIds {
  kCall,        // "call_" and 24 letters and digits
  kNineLetters  // as Mistral's templates demand them
};

// What became certain at once. The segments of all outputs joined are the text that was pushed:
// each byte is kContent or kCall.
struct ToolOutput {
  std::vector<Segment> segments;
  std::vector<ToolCallDelta> deltas;
};

// One per answer. The calls depend on the text only, never on how it was cut. Odd output is
// content: nothing that a model writes is an error, and no byte of it is lost before a call has
// begun. A call begins when its name is certain; from there on its arguments stream. White space
// around calls belongs to them. Bytes are held back only while their kind is open.
class ToolParser {
 public:
  // `tools` must outlive this. `max_calls`: what comes behind the last one is not looked at; 0: no
  // limit.
  ToolParser(const ToolSet& tools, CallIds ids, int max_calls)
      : tools_(tools), ids_(ids), max_calls_(max_calls) {}
  virtual ~ToolParser() = default;

  void Push(std::string_view text, ToolOutput* out);
  // The end of a text; another one may follow. `whole`: the model ended it, and what the end makes
  // certain is told. Else it was cut.
  void Flush(bool whole, ToolOutput* out);

  // All calls that are allowed are complete.
  bool done() const { return max_calls_ > 0 && num_calls_ == max_calls_ && !in_call_; }

 protected:
  // Takes from `held_` as much as is certain; false when that needs more text.
  virtual bool Step() = 0;
  // The same at the end of the text, and goes back to where words are expected. What is left then
  // is content, or the call's if one is open.
  virtual void Finish(bool whole) = 0;

  // Words up to the first of `marks`, which stays in `held_` from its beginning on, with the white
  // space before it. The mark found, or null when all text was taken that cannot be one's
  // beginning.
  const std::string* TakeWords(std::span<const std::string> marks, size_t* at);
  // `bytes` from the front of `held_`.
  void Take(SegmentKind kind, size_t bytes);
  void BeginCall(std::string name, std::string id);
  void Arguments(std::string_view text);
  // Adds "{}" when there were no arguments.
  void EndCall();

  const ToolSet& tools() const { return tools_; }
  bool in_call() const { return in_call_; }

  std::string held_;         // what is not taken yet
  bool only_space_ = true;   // no word and no call so far
  bool after_call_ = false;  // white space that comes now belongs to the call before it

 private:
  const ToolSet& tools_;
  const CallIds ids_;
  const int max_calls_;
  ToolOutput* out_ = nullptr;
  int num_calls_ = 0;
  bool in_call_ = false, has_arguments_ = false;
  std::set<std::string> used_ids_;
};

// A name that a function can have: up to 128 letters, digits and _ - . : /
bool IsCallName(std::string_view name);

}  // namespace lb::api

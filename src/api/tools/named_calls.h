// Calls that are a header with the name and then the arguments as JSON: DeepSeek, Mistral's newer
// models, Kimi, gpt-oss, Functionary and more.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/tools/json_value.h"
#include "api/tools/tool_parser.h"

namespace lb::api {

struct NamedCallsFormat {
  // How the name stands in the text between a mark and the arguments.
  enum class Header {
    kName,      // NAME, mark
    kMistral,   // NAME[CALL_ID]ID[ARGS], where the marks may be missing
    kDeepSeek,  // NAME, mark; or KIND, mark, NAME, line break, ```json
    kKimi,      // functions.NAME:INDEX, mark
    kSolar,     // ID<|tool_call:name|>NAME<|tool_call:args|>
    kChannels,  // ... to=functions.NAME ... <|message|>
  };
  std::vector<std::string> begins;  // marks before a call
  std::vector<std::string> asides;  // marks around all calls, which say nothing
  Header header = Header::kName;
  std::string before_arguments;   // that mark
  std::vector<std::string> ends;  // marks behind a call
};

class NamedCalls final : public ToolParser {
 public:
  NamedCalls(NamedCallsFormat format, const ToolSet& tools, CallIds ids, int max_calls);

 protected:
  bool Step() override;
  void Finish(bool whole) override;

 private:
  enum class State { kWords, kHeader, kArguments, kAfter };
  struct Named {
    std::string name, id;
  };
  bool StepWords();
  bool StepHeader();
  bool StepArguments();
  bool StepAfter();
  std::optional<Named> ReadHeader(std::string_view header) const;

  const NamedCallsFormat format_;
  const std::vector<std::string> marks_;  // begins and asides
  State state_ = State::kWords;
  size_t header_ = 0;  // where it begins in held_
  size_t seen_ = 0;    // how much of held_ was looked at
  JsonArguments arguments_;
};

}  // namespace lb::api

// The functions of a request, checked.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "api/json_reader.h"
#include "base/result.h"

namespace lb::api {

struct Tool {
  std::string name;
  boost::json::object parameters;  // a JSON schema; empty: none was given
  bool strict = false;             // arguments must follow it
  std::string field;               // where it stands in the request, for errors
};

// Immutable after ParseTools.
class ToolSet {
 public:
  ToolSet() = default;
  explicit ToolSet(std::vector<Tool> tools) : tools_(std::move(tools)) {}
  const std::vector<Tool>& tools() const { return tools_; }
  bool empty() const { return tools_.empty(); }
  const Tool* Find(std::string_view name) const;  // null: unknown

 private:
  std::vector<Tool> tools_;
};

// What a request says about tools.
struct ToolOptions {
  ToolSet set;               // those that may be called; none under tool_choice "none"
  boost::json::value shown;  // null, or the list for the template
  bool must_call = false;    // tool_choice "required", or one function
  bool parallel = true;      // more than one call in one answer
};

// A list of tools in OpenAI's form, which may all be called; errors are of the field `tools`.
Result<ToolOptions> ToolsOf(const boost::json::array& tools);
// `tools`, `tool_choice`, `parallel_tool_calls`. kInvalidArgument for what is wrong with them.
Result<ToolOptions> ParseTools(const Fields& fields);

}  // namespace lb::api

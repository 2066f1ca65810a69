// How a model writes its tool calls, found out from its chat template.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/tools/json_calls.h"
#include "api/tools/named_calls.h"
#include "api/tools/tool_parser.h"
#include "api/tools/xml_calls.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lb::api {

// What a call looks like to the byte, for output that is bound to be one. Calls are
// before_all (before_name NAME after_name ARGUMENTS after_arguments) between ... after_all.
struct CallShape {
  enum class Arguments {
    kJson,        // an object
    kQwenXml,     // <parameter=KEY>\nVALUE\n</parameter>\n ...
    kGlmXml,      // <arg_key>KEY</arg_key>\n<arg_value>VALUE</arg_value>\n ...
    kMiniMaxXml,  // <parameter name="KEY">VALUE</parameter>\n ...
    kDeepSeekXml  // <｜DSML｜parameter name="KEY" string="true">VALUE</｜DSML｜parameter>\n ...
  };
  // In free text a call begins here; part of before_all before_name. "": only the beginning of an
  // answer can tell a call.
  std::string trigger;
  // Without before_name the format has no shape that a grammar could hold an answer to.
  std::string before_all, before_name, after_name, after_arguments, between, after_all;
  Arguments arguments = Arguments::kJson;
  bool one = false;  // the model knows no more than one call in an answer
};

struct ToolFormat {
  std::string_view name;  // as flags and requests call it: "hermes"
  std::variant<JsonCallsFormat, NamedCallsFormat, XmlCallsFormat> syntax;
  CallShape shape;
};

// By name; null: unknown.
const ToolFormat* ToolFormatByName(std::string_view name);
std::vector<std::string_view> ToolFormatNames();
// The format whose marks the template writes; "generic" where it tells nothing.
const ToolFormat& FindToolFormat(const text::ChatTemplate& chat_template);

// Marks of `format` that are control tokens: without them nothing is seen.
std::vector<TokenId> ShownTokens(const ToolFormat& format, const text::Tokenizer& tokenizer);

// How the calls of an answer are found; without a format they are not looked for.
struct ToolParsing {
  const ToolFormat* format = nullptr;  // one of those above
  std::shared_ptr<const ToolSet> tools;
  CallIds ids = CallIds::kCall;
  int max_calls = 0;         // 0: no limit
  bool marked_only = false;  // a call without its marks is none, where the format has marks
};
// Null without a format. `parsing.tools` must outlive it.
std::unique_ptr<ToolParser> MakeToolParser(const ToolParsing& parsing);

}  // namespace lb::api

#include "api/tools/format.h"

#include <algorithm>

#include "api/tools/format_table.h"

namespace lb::api {
namespace {

// All of `needles` in a template, or in what it writes, speak for the format; the first row that
// fits holds.
struct Sign {
  std::vector<std::string_view> needles;
  std::string_view format;
};

const std::vector<Sign>& Signs() {
  static const std::vector<Sign> signs = {
      {{"<|channel|>", "to=functions."}, "gpt-oss"},
      {{"<|tool_call_begin|>"}, "kimi-k2"},
      {{"｜DSML｜function_calls"}, "deepseek-v3.2"},
      {{"｜DSML｜"}, "deepseek-v4"},
      {{"<｜tool▁call▁begin｜>", "```json"}, "deepseek-r1"},
      {{"<｜tool▁call▁begin｜>"}, "deepseek"},
      {{"]<]minimax[>["}, "generic"},
      {{"<minimax:tool_call>"}, "minimax-m2"},
      {{"<seed:tool_call>"}, "seed"},
      {{"<arg_key>"}, "glm"},
      {{"<arg_key:opensource>"}, "hunyuan"},
      {{"<|tool_call:begin|>"}, "solar"},
      {{"<function=", "<parameter="}, "qwen3-coder"},
      {{"<param name="}, "minicpm"},
      {{"[TOOL_CALLS]", "[ARGS]"}, "mistral"},
      {{"[TOOL_CALLS]"}, "mistral-nemo"},
      {{"<|START_ACTION|>"}, "command-r7b"},
      {{"'Action:'", "tool_name"}, "command-r"},
      {{"\\nAction:\\n```json"}, "command-r"},
      {{"<|tools_prefix|>"}, "apertus"},
      {{"<TOOLCALL>"}, "nemotron-nano"},
      {{"functools["}, "firefunction"},
      {{"<|tool_call|>"}, "granite"},
      {{"<|function_call|>"}, "gigachat"},
      {{"function call<|role_sep|>"}, "gigachat"},
      {{"<tool_calls>", "<beginning_of_sentence>"}, "minimax-m1"},
      {{"<tool_calls>"}, "apriel"},
      {{"<tool_call>"}, "hermes"},
      {{"<function="}, "functionary"},
      {{"<|start_header_id|>", "ipython"}, "llama3"},
  };
  return signs;
}

void AddMarks(const JsonCallsFormat& format, std::vector<std::string>* marks) {
  marks->insert(marks->end(), format.begins.begin(), format.begins.end());
  marks->push_back(format.end);
}

void AddMarks(const NamedCallsFormat& format, std::vector<std::string>* marks) {
  for (const auto* list : {&format.begins, &format.asides, &format.ends}) {
    marks->insert(marks->end(), list->begin(), list->end());
  }
  marks->push_back(format.before_arguments);
  if (format.header == NamedCallsFormat::Header::kMistral) marks->push_back("[CALL_ID]");
  if (format.header == NamedCallsFormat::Header::kSolar) marks->push_back("<|tool_call:name|>");
  if (format.header == NamedCallsFormat::Header::kChannels) marks->push_back("<|constrain|>");
}

void AddMarks(const XmlCallsFormat& format, std::vector<std::string>* marks) {
  for (const std::string* mark :
       {&format.wrap, &format.wrap_end, &format.call, &format.name_end, &format.key,
        &format.key_end, &format.value, &format.value_end, &format.call_end}) {
    marks->push_back(*mark);
  }
}

}  // namespace

const ToolFormat* ToolFormatByName(std::string_view name) {
  for (const ToolFormat& format : ToolFormats()) {
    if (format.name == name) return &format;
  }
  return nullptr;
}

std::vector<std::string_view> ToolFormatNames() {
  std::vector<std::string_view> names;
  for (const ToolFormat& format : ToolFormats()) names.push_back(format.name);
  return names;
}

const ToolFormat& FindToolFormat(const text::ChatTemplate& chat_template) {
  // Many put their marks together from pieces, so what they write is looked at, too.
  const std::string text = chat_template.source() + chat_template.call_example();
  for (const Sign& sign : Signs()) {
    const bool all = std::all_of(
        sign.needles.begin(), sign.needles.end(),
        [&](std::string_view needle) { return text.find(needle) != std::string::npos; });
    if (all) return *ToolFormatByName(sign.format);
  }
  return *ToolFormatByName("generic");
}

std::vector<TokenId> ShownTokens(const ToolFormat& format, const text::Tokenizer& tokenizer) {
  std::vector<std::string> marks;
  std::visit([&](const auto& syntax) { AddMarks(syntax, &marks); }, format.syntax);
  std::vector<TokenId> shown;
  for (const std::string& mark : marks) {
    for (const TokenId id : tokenizer.Encode(mark, false, true)) {
      const bool hidden = tokenizer.TokenBytes(id, false).empty();
      if (hidden && std::find(shown.begin(), shown.end(), id) == shown.end()) shown.push_back(id);
    }
  }
  return shown;
}

std::unique_ptr<ToolParser> MakeToolParser(const ToolParsing& parsing) {
  if (parsing.format == nullptr) return nullptr;
  struct Maker {
    const ToolParsing& p;
    std::unique_ptr<ToolParser> operator()(const JsonCallsFormat& syntax) const {
      JsonCallsFormat format = syntax;
      if (p.marked_only && !p.format->shape.trigger.empty()) format.bare = false;
      return std::make_unique<JsonCalls>(std::move(format), *p.tools, p.ids, p.max_calls);
    }
    std::unique_ptr<ToolParser> operator()(const NamedCallsFormat& syntax) const {
      return std::make_unique<NamedCalls>(syntax, *p.tools, p.ids, p.max_calls);
    }
    std::unique_ptr<ToolParser> operator()(const XmlCallsFormat& syntax) const {
      return std::make_unique<XmlCalls>(syntax, *p.tools, p.ids, p.max_calls);
    }
  };
  return std::visit(Maker{parsing}, parsing.format->syntax);
}

}  // namespace lb::api

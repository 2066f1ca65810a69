// Each row: the marks that a model writes around its calls (as its chat template renders them), and
// what a call looks like to the byte.
#include "api/tools/format_table.h"

namespace lb::api {
namespace {

using Arguments = CallShape::Arguments;
using Header = NamedCallsFormat::Header;

// A list of {"name", "arguments"} objects between two marks.
CallShape ListShape(const std::string& begin, const std::string& end) {
  return {begin, begin + "[", "{\"name\": \"", "\", \"arguments\": ", "}", ", ", "]" + end};
}

std::vector<ToolFormat> Make() {
  std::vector<ToolFormat> rows;
  const auto json = [&](std::string_view name, JsonCallsFormat syntax, CallShape shape) {
    rows.push_back({name, std::move(syntax), std::move(shape)});
  };
  const auto named = [&](std::string_view name, NamedCallsFormat syntax, CallShape shape) {
    rows.push_back({name, std::move(syntax), std::move(shape)});
  };
  const auto xml = [&](std::string_view name, XmlCallsFormat syntax, CallShape shape) {
    rows.push_back({name, std::move(syntax), std::move(shape)});
  };

  // Qwen 2.5 and 3, Hermes, Granite 4 and most that were tuned on such data. Small ones forget the
  // marks.
  json("hermes", {{"<tool_call>"}, "</tool_call>", true},
       {"<tool_call>", "", "<tool_call>\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>",
        "\n", ""});
  CallShape llama = {"", "", "{\"name\": \"", "\", \"parameters\": ", "}", "", ""};
  llama.one = true;
  json("llama3", {{"<|python_tag|>"}, "", true}, llama);
  json("mistral-nemo", {{"[TOOL_CALLS]"}, ""}, ListShape("[TOOL_CALLS]", ""));
  json("granite", {{"<|tool_call|>"}, "", true}, ListShape("<|tool_call|>", ""));
  json("apriel", {{"<tool_calls>"}, "</tool_calls>"}, ListShape("<tool_calls>", "</tool_calls>"));
  json("minimax-m1", {{"<tool_calls>"}, "</tool_calls>"},
       {"<tool_calls>", "<tool_calls>\n", "{\"name\": \"", "\", \"arguments\": ", "}", "\n",
        "\n</tool_calls>"});
  json("nemotron-nano", {{"<TOOLCALL>"}, "</TOOLCALL>"}, ListShape("<TOOLCALL>", "</TOOLCALL>"));
  json("firefunction", {{"functools"}, ""}, ListShape("functools", ""));
  CallShape giga = {"<|function_call|>",
                    "",
                    "<|function_call|>{\"name\": \"",
                    "\", \"arguments\": ",
                    "}",
                    "",
                    ""};
  giga.one = true;
  json("gigachat", {{"<|function_call|>", "function call<|role_sep|>"}, "", true}, giga);
  json(
      "command-r7b", {{"<|START_ACTION|>"}, "<|END_ACTION|>"},
      {"<|START_ACTION|>", "<|START_ACTION|>[\n    ", "{\"tool_call_id\": \"0\", \"tool_name\": \"",
       "\", \"parameters\": ", "}", ",\n    ", "\n]<|END_ACTION|>"});
  json("command-r", {{"Action:\n```json", "Action: ```json"}, "```"},
       {"Action:\n```json", "Action:\n```json\n[\n    ", "{\n        \"tool_name\": \"",
        "\",\n        \"parameters\": ", "\n    }", ",\n    ", "\n]```"});
  json("apertus", {{"<|tools_prefix|>"}, "<|tools_suffix|>", false, true},
       {"<|tools_prefix|>", "<|tools_prefix|>[", "{\"", "\": ", "}", ", ", "]<|tools_suffix|>"});
  // For templates that say nothing of tools: see api/chat_input.cc.
  json("generic", {{}, "", true}, {"", "", "{\"name\": \"", "\", \"arguments\": ", "}", "\n", ""});

  // Version 11 and later; some write the call's id.
  named("mistral", {{"[TOOL_CALLS]"}, {}, Header::kMistral, "[ARGS]", {}},
        {"[TOOL_CALLS]", "", "[TOOL_CALLS]", "[ARGS]", "", "", ""});
  const CallShape deepseek = {"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁begin｜>",
                              "<｜tool▁call▁begin｜>",  "<｜tool▁sep｜>",
                              "<｜tool▁call▁end｜>",    "",
                              "<｜tool▁calls▁end｜>"};
  CallShape r1 = deepseek;
  r1.before_name += "function<｜tool▁sep｜>";
  r1.after_name = "\n```json\n";
  r1.after_arguments = "\n```<｜tool▁call▁end｜>";
  r1.between = "\n";
  const NamedCallsFormat deepseek_calls = {{"<｜tool▁call▁begin｜>"},
                                           {"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"},
                                           Header::kDeepSeek,
                                           "<｜tool▁sep｜>",
                                           {"<｜tool▁call▁end｜>"}};
  named("deepseek", deepseek_calls, deepseek);
  named("deepseek-r1", deepseek_calls, r1);
  named("kimi-k2",
        {{"<|tool_call_begin|>"},
         {"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"},
         Header::kKimi,
         "<|tool_call_argument_begin|>",
         {"<|tool_call_end|>"}},
        {"<|tool_calls_section_begin|>", "<|tool_calls_section_begin|>",
         "<|tool_call_begin|>functions.", ":0<|tool_call_argument_begin|>", "<|tool_call_end|>", "",
         "<|tool_calls_section_end|>"});
  // One only, for nothing but the end of the answer ends the list.
  CallShape solar = {"<|tool_calls|>",
                     "",
                     "<|tool_calls|><|tool_call:begin|>0<|tool_call:name|>",
                     "<|tool_call:args|>",
                     "<|tool_call:end|>",
                     "",
                     ""};
  solar.one = true;
  named("solar",
        {{"<|tool_call:begin|>"},
         {"<|tool_calls|>", "<|calls|>"},
         Header::kSolar,
         "<|tool_call:args|>",
         {"<|tool_call:end|>"}},
        solar);
  named("functionary", {{"<function="}, {}, Header::kName, ">", {"</function>"}},
        {"<function=", "", "<function=", ">", "</function>", "", ""});
  // The token that ends a call ends the answer.
  // The token that ends a call ends the answer.
  CallShape channel = {"to=functions.",
                       "",
                       "<|channel|>commentary to=functions.",
                       " <|constrain|>json<|message|>",
                       "",
                       "",
                       ""};
  channel.one = true;
  named("gpt-oss",
        {{"<|channel|>", "<|start|>"},
         {},
         Header::kChannels,
         "<|message|>",
         {"<|call|>", "<|end|>", "<|return|>"}},
        channel);

  xml("qwen3-coder",
      {"<tool_call>", "</tool_call>", "<function=", ">", "<parameter=", ">", "", "</parameter>",
       "</function>", true},
      {"<tool_call>", "", "<tool_call>\n<function=", ">\n", "</function>\n</tool_call>", "\n", "",
       Arguments::kQwenXml});
  xml("seed",
      {"<seed:tool_call>", "</seed:tool_call>", "<function=", ">", "<parameter=", ">", "",
       "</parameter>", "</function>", true},
      {"<seed:tool_call>", "", "<seed:tool_call>\n<function=", ">\n",
       "</function>\n</seed:tool_call>", "\n", "", Arguments::kQwenXml});
  xml("glm",
      {"", "", "<tool_call>", "", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>",
       "</tool_call>"},
      {"<tool_call>", "", "<tool_call>", "\n", "</tool_call>", "\n", "", Arguments::kGlmXml});
  xml("hunyuan",
      {"<tool_calls:opensource>", "</tool_calls:opensource>", "<tool_call:opensource>",
       "<tool_sep:opensource>", "<arg_key:opensource>", "</arg_key:opensource>",
       "<arg_value:opensource>", "</arg_value:opensource>", "</tool_call:opensource>"},
      {});
  xml("minimax-m2",
      {"<minimax:tool_call>", "</minimax:tool_call>", "<invoke name=\"", "\">",
       "<parameter name=\"", "\">", "", "</parameter>", "</invoke>"},
      {"<minimax:tool_call>", "<minimax:tool_call>\n", "<invoke name=\"", "\">\n", "</invoke>",
       "\n", "\n</minimax:tool_call>", Arguments::kMiniMaxXml});
  xml("minicpm",
      {"", "", "<function name=\"", "\">", "<param name=\"", "\">", "", "</param>", "</function>"},
      {});
  // Its newest version calls the wrapper tool_calls, its older one function_calls.
  xml("deepseek-v3.2",
      {"<｜DSML｜function_calls>", "</｜DSML｜function_calls>", "<｜DSML｜invoke name=\"", "\">",
       "<｜DSML｜parameter name=\"", "\">", "", "</｜DSML｜parameter>", "</｜DSML｜invoke>"},
      {"<｜DSML｜function_calls>", "<｜DSML｜function_calls>\n", "<｜DSML｜invoke name=\"", "\">\n",
       "</｜DSML｜invoke>", "\n", "\n</｜DSML｜function_calls>", Arguments::kDeepSeekXml});
  xml("deepseek-v4",
      {"<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>", "<｜DSML｜invoke name=\"", "\">",
       "<｜DSML｜parameter name=\"", "\">", "", "</｜DSML｜parameter>", "</｜DSML｜invoke>"},
      {"<｜DSML｜tool_calls>", "<｜DSML｜tool_calls>\n", "<｜DSML｜invoke name=\"", "\">\n",
       "</｜DSML｜invoke>", "\n", "\n</｜DSML｜tool_calls>", Arguments::kDeepSeekXml});
  return rows;
}

}  // namespace

std::span<const ToolFormat> ToolFormats() {
  static const std::vector<ToolFormat> rows = Make();
  return rows;
}

}  // namespace lb::api

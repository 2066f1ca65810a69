// Tool calls: what models of each format write comes apart into words and calls, the same ones
// wherever the text is cut; odd output is content; templates tell their formats.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "api/json_reader.h"
#include "api/tools/format.h"
#include "tests/api/fakes.h"

namespace lb::api {
namespace {

namespace json = boost::json;
using testing::ElementsAre;

ToolSet TwoTools() {
  auto parameters = [](const char* text) { return ParseJsonObject(text).value(); };
  return ToolSet(
      {{"get_weather", parameters(R"({"type":"object","properties":{"city":{"type":"string"},
                   "days":{"type":"integer"},"note":{"type":["string","null"]},
                   "more":{"type":"object"},"any":{}},"required":["city"]})"),
        false, ""},
       {"get_time", parameters(R"({"type":"object","properties":{"tz":{"type":"string"}}})"), false,
        ""}});
}

// Ids are left out: they are new each time.
struct Call {
  std::string name, arguments;
  bool operator==(const Call&) const = default;
};
void PrintTo(const Call& call, std::ostream* out) { *out << call.name << " " << call.arguments; }

struct Parsed {
  std::string content, all;
  std::vector<Call> calls;
  bool operator==(const Parsed&) const = default;
};

Parsed Parse(const std::string& format, const std::vector<std::string>& pieces, bool whole = true,
             int max_calls = 0) {
  ToolParsing parsing;
  parsing.format = ToolFormatByName(format);
  EXPECT_NE(parsing.format, nullptr) << format;
  parsing.tools = std::make_shared<const ToolSet>(TwoTools());
  parsing.max_calls = max_calls;
  const auto parser = MakeToolParser(parsing);
  Parsed parsed;
  std::vector<ToolCall> calls;
  const auto take = [&](const ToolOutput& out) {
    for (const Segment& segment : out.segments) {
      EXPECT_FALSE(segment.text.empty());
      parsed.all += segment.text;
      if (segment.kind == SegmentKind::kContent) parsed.content += segment.text;
    }
    for (const ToolCallDelta& delta : out.deltas) {
      const bool next = delta.index == static_cast<int>(calls.size());
      EXPECT_EQ(next, delta.first());
      EXPECT_TRUE(next || delta.index + 1 == static_cast<int>(calls.size()));
      if (next != delta.first()) return;
      AddDelta(delta, &calls);
    }
  };
  for (const std::string& piece : pieces) {
    ToolOutput out;
    parser->Push(piece, &out);
    take(out);
  }
  ToolOutput out;
  parser->Flush(whole, &out);
  take(out);
  std::set<std::string> ids;
  for (const ToolCall& call : calls) {
    EXPECT_TRUE(ids.insert(call.id).second) << call.id;
    EXPECT_FALSE(call.id.empty());
    parsed.calls.push_back({call.name, call.arguments});
  }
  return parsed;
}

// The same whole, cut at each place, and byte by byte.
Parsed ParseCut(const std::string& format, const std::string& text, bool whole = true) {
  const Parsed once = Parse(format, {text}, whole);
  EXPECT_EQ(once.all, text) << format;
  for (size_t cut = 1; cut < text.size(); ++cut) {
    const Parsed twice = Parse(format, {text.substr(0, cut), text.substr(cut)}, whole);
    EXPECT_EQ(twice, once) << format << " cut at " << cut << " of " << text;
    if (twice != once) break;
  }
  std::vector<std::string> bytes;
  for (const char c : text) bytes.push_back(std::string(1, c));
  EXPECT_EQ(Parse(format, bytes, whole), once) << format << " byte by byte: " << text;
  return once;
}

struct Case {
  const char *format, *text, *content;
  std::vector<Call> calls;
};

const Call kParis = {"get_weather", R"({"city": "Paris", "days": 2})"};
const Call kRome = {"get_weather", R"({"city": "Rome", "days": 3})"};
const Call kTime = {"get_time", R"({"tz": "CET"})"};
const Call kNothing = {"get_time", "{}"};
const char kOdd[] = R"({"city": "}\"</tool_call>\né<function=x>[/TOOL]", "days": 2})";

std::vector<Case> Cases() {
  return {
      // Two calls, as each template renders them.
      {"hermes",
       "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": "
       "2}}\n</tool_call>\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
       "\"Rome\", \"days\": 3}}\n</tool_call>",
       "",
       {kParis, kRome}},
      {"llama3",
       R"({"name": "get_weather", "parameters": {"city": "Paris", "days": 2}})",
       "",
       {kParis}},
      {"llama3",
       R"(<|python_tag|>{"type": "function", "name": "get_weather", "parameters": {"city": "Paris", "days": 2}}; {"name": "get_time", "parameters": {"tz": "CET"}})",
       "",
       {kParis, kTime}},
      {"mistral-nemo",
       R"([TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}, "id": "abcdef121"}, {"name": "get_weather", "arguments": {"city": "Rome", "days": 3}, "id": "abcdef122"}])",
       "",
       {kParis, kRome}},
      {"mistral",
       R"([TOOL_CALLS]get_weather[CALL_ID]abcdef121[ARGS]{"city": "Paris", "days": 2}[TOOL_CALLS]get_weather[ARGS]{"city": "Rome", "days": 3})",
       "",
       {kParis, kRome}},
      {"mistral", R"(Words [TOOL_CALLS]get_time{"tz": "CET"})", "Words", {kTime}},
      {"granite",
       R"(<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}, {"name": "get_time", "arguments": {"tz": "CET"}}])",
       "",
       {kParis, kTime}},
      {"apriel",
       R"(Here. <tool_calls>[{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}, "id": "a"}, {"name": "get_weather", "arguments": {"city": "Rome", "days": 3}, "id": "b"}]</tool_calls>)",
       "Here.",
       {kParis, kRome}},
      {"minimax-m1",
       "<tool_calls>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": "
       "2}}\n{\"name\": \"get_time\", \"arguments\": {\"tz\": \"CET\"}}\n</tool_calls>",
       "",
       {kParis, kTime}},
      {"nemotron-nano",
       R"(<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}]</TOOLCALL>)",
       "",
       {kParis}},
      {"firefunction",
       R"( functools[{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}])",
       "",
       {kParis}},
      {"gigachat",
       R"(<|function_call|>{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}})",
       "",
       {kParis}},
      {"command-r7b",
       R"(<|START_ACTION|>[
    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Paris", "days": 2}},
    {"tool_call_id": "1", "tool_name": "get_time", "parameters": {"tz": "CET"}}
]<|END_ACTION|>)",
       "",
       {kParis, kTime}},
      {"command-r",
       "Action:\n```json\n[\n    {\n        \"tool_name\": \"get_time\",\n        \"parameters\": "
       "{\"tz\": \"CET\"}\n    }\n]```",
       "",
       {kTime}},
      {"apertus",
       R"(<|tools_prefix|>[{"get_weather": {"city": "Paris", "days": 2}}, {"get_time": {"tz": "CET"}}]<|tools_suffix|>)",
       "",
       {kParis, kTime}},
      {"generic",
       "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": 2}}\n"
       "{\"name\": \"get_time\", \"arguments\": {\"tz\": \"CET\"}}",
       "",
       {kParis, kTime}},
      {"deepseek",
       "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": \"Paris\", "
       "\"days\": 2}<｜tool▁call▁end｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": "
       "\"Rome\", \"days\": 3}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
       "",
       {kParis, kRome}},
      {"deepseek-r1",
       "Look. <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n"
       "```json\n{\"city\": \"Paris\", \"days\": 2}\n```<｜tool▁call▁end｜>\n"
       "<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_time\n```json\n{\"tz\": \"CET\"}\n"
       "```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
       "Look.",
       {kParis, kTime}},
      {"kimi-k2",
       "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_"
       "begin|>{\"city\": \"Paris\", \"days\": 2}<|tool_call_end|><|tool_call_begin|>functions.get_"
       "weather:1<|tool_call_argument_begin|>{\"city\": \"Rome\", \"days\": "
       "3}<|tool_call_end|><|tool_calls_section_end|>",
       "",
       {kParis, kRome}},
      {"solar",
       R"(<|tool_calls|><|tool_call:begin|>id1<|tool_call:name|>get_weather<|tool_call:args|>{"city": "Paris", "days": 2}<|tool_call:end|><|tool_call:begin|>id2<|tool_call:name|>get_time<|tool_call:args|>{"tz": "CET"}<|tool_call:end|><|calls|>)",
       "",
       {kParis, kTime}},
      {"functionary",
       R"(<function=get_weather>{"city": "Paris", "days": 2}</function><function=get_time>{"tz": "CET"}</function>)",
       "",
       {kParis, kTime}},
      {"gpt-oss",
       R"(<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Paris", "days": 2}<|call|>)",
       "",
       {kParis}},
      {"gpt-oss",
       R"( to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Paris", "days": 2}<|call|><|start|>assistant<|channel|>commentary to=functions.get_time <|constrain|>json<|message|>{"tz": "CET"}<|call|>)",
       "",
       {kParis, kTime}},
      {"gpt-oss", "Plain words to=functions.f", "Plain words to=functions.f", {}},
      {"qwen3-coder",
       "Sure.\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n"
       "<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n"
       "<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n<parameter=days>\n3\n"
       "</parameter>\n</function>\n</tool_call>",
       "Sure.",
       {kParis, kRome}},
      {"seed",
       "<seed:tool_call>\n<function=get_weather>\n<parameter=city>Paris</parameter>\n"
       "<parameter=days>2</parameter>\n</function>\n</seed:tool_call>",
       "",
       {kParis}},
      {"glm",
       "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n"
       "<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n<tool_call>get_weather"
       "<arg_key>city</arg_key><arg_value>Rome</arg_value><arg_key>days</arg_key><arg_value>3"
       "</arg_value></tool_call>",
       "",
       {kParis, kRome}},
      {"hunyuan",
       "<tool_calls:opensource>\n<tool_call:opensource>get_weather<tool_sep:opensource>\n"
       "<arg_key:opensource>city</arg_key:opensource>\n<arg_value:opensource>Paris"
       "</arg_value:opensource>\n<arg_key:opensource>days</arg_key:opensource>\n"
       "<arg_value:opensource>2</arg_value:opensource>\n</tool_call:opensource>\n"
       "</tool_calls:opensource>",
       "",
       {kParis}},
      {"minimax-m2",
       "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Paris"
       "</parameter>\n<parameter name=\"days\">2</parameter>\n</invoke>\n"
       "<invoke name=\"get_time\">\n<parameter name=\"tz\">CET</parameter>\n</invoke>\n"
       "</minimax:tool_call>",
       "",
       {kParis, kTime}},
      {"minicpm",
       "<function name=\"get_weather\"><param name=\"city\">Paris</param><param "
       "name=\"days\">2</param></function>\n<function name=\"get_time\"></function>",
       "",
       {kParis, kNothing}},
      {"deepseek-v3.2",
       "\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter "
       "name=\"city\" string=\"true\">Paris</｜DSML｜parameter>\n<｜DSML｜parameter name=\"days\" "
       "string=\"false\">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
       "",
       {kParis}},
      {"deepseek-v4",
       "Go.\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"get_time\">\n<｜DSML｜parameter "
       "name=\"tz\" string=\"true\">CET</｜DSML｜parameter>\n</｜DSML｜invoke>\n"
       "</｜DSML｜tool_calls>",
       "Go.",
       {kTime}},

      // Words around calls, and no call at all.
      {"hermes", "Just words. ", "Just words. ", {}},
      {"hermes",
       "First I look.\n\n<tool_call>{\"name\": \"get_time\"}</tool_call>\nThat is it.",
       "First I look.That is it.",
       {kNothing}},
      {"hermes", "a < b <tool", "a < b <tool", {}},
      {"qwen3-coder", "x <function y", "x <function y", {}},
      {"mistral", "[TOOL_CALLS] and", "[TOOL_CALLS] and", {}},

      // What small models do: no marks, a fence, text instead of an object, a missing end.
      {"hermes",
       R"({"name": "get_weather", "arguments": {"city": "Paris", "days": 2}})",
       "",
       {kParis}},
      {"hermes",
       "```json\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": "
       "2}}\n```",
       "",
       {kParis}},
      {"hermes",
       R"(<tool_call>{"name": "get_weather", "arguments": "{\"city\": \"Paris\", \"days\": 2}"}</tool_call>)",
       "",
       {kParis}},
      {"hermes",
       R"(<tool_call>{"arguments": {"city": "Paris", "days": 2}, "name": "get_weather"}}</tool_call>)",
       "",
       {kParis}},
      {"hermes",
       R"(<tool_call>{"function": {"name": "get_time", "arguments": {"tz": "CET"}}}</tool_call>)",
       "",
       {kTime}},
      {"hermes",
       "<tool_call>\n{\"name\": \"get_time\", \"arguments\": {\"tz\": \"CET\"}\n</tool_call>",
       "",
       {kTime}},
      {"hermes", R"(<tool_call>{"name": "get_time", "arguments": {"tz": "CET"})", "", {kTime}},
      {"hermes",
       R"(<tool_call>{"name": "get_time", "arguments": null}</tool_call>)",
       "",
       {kNothing}},
      {"hermes",
       R"([{"name": "get_time", "arguments": {"tz": "CET"}}, {"name": "get_time", "arguments": {}}])",
       "",
       {kTime, kNothing}},
      {"qwen3-coder",
       "<function=get_time>\n<parameter=tz>\nCET\n</parameter>\n</function>\n</tool_call>",
       "",
       {kTime}},
      {"qwen3-coder",
       "<tool_call>\n<function=get_time>\n<parameter=tz>\nCET\n</parameter>\n</tool_call>",
       "",
       {kTime}},
      {"qwen3-coder", "<tool_call>\n<function=get_time>\n", "", {kNothing}},
      {"deepseek",
       "<｜tool▁call▁begin｜>get_time<｜tool▁sep｜><｜tool▁call▁end｜>",
       "",
       {kNothing}},
      {"gpt-oss", "<|channel|>commentary to=functions.get_time<|message|>", "", {kNothing}},

      // Arguments that hold the format's own marks.
      {"hermes",
       R"(<tool_call>{"name": "get_weather", "arguments": {"city": "}\"</tool_call>\né<function=x>[/TOOL]", "days": 2}}</tool_call>)",
       "",
       {{"get_weather", kOdd}}},
      {"mistral",
       R"([TOOL_CALLS]get_weather[ARGS]{"city": "}\"</tool_call>\né<function=x>[/TOOL]", "days": 2})",
       "",
       {{"get_weather", kOdd}}},
      {"qwen3-coder",
       "<tool_call>\n<function=get_weather>\n<parameter=city>\n}\"</tool_call>\n</parameter>\n"
       "x</function>é\\\n\n</parameter>\n</function>\n</tool_call>",
       "",
       {{"get_weather", R"({"city": "}\"</tool_call>\n</parameter>\nx</function>é\\\n"})"}}},
      {"glm",
       "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value></arg_value></tool_call"
       "</arg_value>\n</tool_call>",
       "",
       {{"get_weather", R"({"city": "</arg_value></tool_call"})"}}},
      // Types: text stays text, JSON is taken over, what is neither is text.
      {"qwen3-coder",
       "<function=get_weather><parameter=city>12</parameter><parameter=note>null</parameter>"
       "<parameter=more>{\"a\": [1, \"x\"]}</parameter><parameter=any>plain</parameter>"
       "<parameter=days>True</parameter></function>",
       "",
       {{"get_weather",
         R"({"city": "12", "note": null, "more": {"a": [1, "x"]}, "any": "plain", "days": true})"}}},
      // A line break in a JSON string is escaped.
      {"hermes",
       "<tool_call>{\"name\": \"get_time\", \"arguments\": {\"tz\": \"a\nb\x01\"}}</tool_call>",
       "",
       {{"get_time", R"({"tz": "a\nb\u0001"})"}}},
      // Ill-formed arguments are told as they are.
      {"hermes",
       "<tool_call>{\"name\": \"get_time\", \"arguments\": {'tz': CET}}</tool_call>",
       "",
       {{"get_time", "{'tz': CET}"}}},
      {"hermes",
       "<tool_call>{\"name\": \"get_time\", \"arguments\": {\"tz\": [1</tool_call>ok",
       "ok",
       {{"get_time", "{\"tz\": [1"}}},

      // Odd output is content.
      {"hermes", "<tool_call>no</tool_call>", "<tool_call>no</tool_call>", {}},
      {"hermes",
       "<tool_call>{\"name\": 7}</tool_call>",
       "<tool_call>{\"name\": 7}</tool_call>",
       {}},
      {"hermes",
       "<tool_call>{\"name\": \"bad name\", \"arguments\": {}}</tool_call>",
       "<tool_call>{\"name\": \"bad name\", \"arguments\": {}}</tool_call>",
       {}},
      {"hermes",
       "<tool_call>{\"a\": 1} <tool_call>{\"name\": \"get_time\"}</tool_call>",
       "<tool_call>{\"a\": 1}",
       {kNothing}},
      {"hermes", "{\"name\": \"Ann\", \"age\": 7}", "{\"name\": \"Ann\", \"age\": 7}", {}},
      {"hermes", "{\"age\": 7}", "{\"age\": 7}", {}},
      {"hermes", "[1, 2]", "[1, 2]", {}},
      {"hermes", "```python\nprint(1)\n```", "```python\nprint(1)\n```", {}},
      {"llama3",
       "{\"name\": \"unknown\", \"parameters\": {}}",
       "{\"name\": \"unknown\", \"parameters\": {}}",
       {}},
      {"llama3", "<|python_tag|>print(1)", "<|python_tag|>print(1)", {}},
      {"qwen3-coder", "<tool_call>\n{\"name\": 1}", "<tool_call>\n{\"name\": 1}", {}},
      {"deepseek", "<｜tool▁call▁begin｜>what is this", "<｜tool▁call▁begin｜>what is this", {}},
      {"glm", "<tool_call>{\"name\"\n", "<tool_call>{\"name\"\n", {}},
      {"gpt-oss",
       "<|channel|>final<|message|>{\"a\": 1}<|return|>",
       "<|channel|>final<|message|>{\"a\": 1}<|return|>",
       {}},
  };
}

TEST(ToolCalls, TheSameCallsWhereverTheTextIsCut) {
  for (const Case& c : Cases()) {
    const Parsed parsed = ParseCut(c.format, c.text);
    EXPECT_EQ(parsed.content, c.content) << c.format << ": " << c.text;
    EXPECT_EQ(parsed.calls, c.calls) << c.format << ": " << c.text;
  }
}

TEST(ToolCalls, EveryBeginningOfAnAnswerIsTheSameWhereverItIsCut) {
  for (const Case& c : Cases()) {
    const std::string text = c.text;
    for (size_t end = 1; end < text.size(); end += 1 + text.size() / 40) {
      for (const bool whole : {false, true}) {
        const std::string part = text.substr(0, end);
        const Parsed once = Parse(c.format, {part}, whole);
        EXPECT_EQ(once.all, part);
        std::vector<std::string> bytes;
        for (const char b : part) bytes.push_back(std::string(1, b));
        EXPECT_EQ(Parse(c.format, bytes, whole), once) << c.format << ": " << part;
      }
    }
  }
}

TEST(ToolCalls, EveryFormatHasItsCase) {
  std::set<std::string> seen;
  for (const Case& c : Cases()) seen.insert(c.format);
  for (const std::string_view name : ToolFormatNames()) {
    EXPECT_TRUE(seen.count(std::string(name))) << name;
  }
}

// The templates that are collected for tests of the template engine.
TEST(ToolCalls, TemplatesTellTheirFormats) {
  const std::map<std::string, std::string> formats = {
      {"Apertus-8B-Instruct", "apertus"},
      {"Apriel-1.6-15b-Thinker-fixed", "apriel"},
      {"Bielik-11B-v3.0-Instruct", "hermes"},
      {"ByteDance-Seed-OSS", "seed"},
      {"Cohere2MoE", "command-r7b"},
      {"CohereForAI-c4ai-command-r-plus-tool_use", "command-r"},
      {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", "command-r7b"},
      {"GLM-4.6", "glm"},
      {"GLM-4.7-Flash", "glm"},
      {"GigaChat3-10B-A1.8B", "gigachat"},
      {"GigaChat3.1-10B-A1.8B", "gigachat"},
      {"HuggingFaceTB-SmolLM3-3B", "generic"},  // lists no tools
      {"Kimi-K2-Instruct", "kimi-k2"},
      {"Kimi-K2-Thinking", "kimi-k2"},
      {"Kimi-K3", "generic"},
      {"LFM2-8B-A1B", "generic"},
      {"LFM2.5-8B-A1B", "generic"},
      {"LFM2.5-Instruct", "generic"},
      {"MiMo-VL", "hermes"},
      {"MiniMax-M1", "minimax-m1"},
      {"MiniMax-M2", "minimax-m2"},
      {"MiniMax-M3", "generic"},
      {"Mistral-Small-3.2-24B-Instruct-2506", "mistral"},
      {"NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "qwen3-coder"},
      {"NVIDIA-Nemotron-Nano-v2", "nemotron-nano"},
      {"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", "hermes"},
      {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "hermes"},
      {"Qwen-QwQ-32B", "hermes"},
      {"Qwen-Qwen2.5-7B-Instruct", "hermes"},
      {"Qwen-Qwen3-0.6B", "hermes"},
      {"Qwen3-Coder", "qwen3-coder"},
      {"Qwen3.5-4B", "qwen3-coder"},
      {"Reka-Edge", "hermes"},
      {"Spark2.5", "glm"},
      {"StepFun3.5-Flash", "qwen3-coder"},
      {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-r1"},
      {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "deepseek-r1"},
      {"deepseek-ai-DeepSeek-V3.1", "deepseek"},
      {"deepseek-ai-DeepSeek-V3.2", "deepseek-v3.2"},
      {"deepseek-ai-DeepSeek-V4", "deepseek-v4"},
      {"deepseek-ai-DeepSeek-V4-Flash-0731", "deepseek-v4"},
      {"fireworks-ai-llama-3-firefunction-v2", "firefunction"},
      {"google-gemma-2-2b-it", "generic"},
      {"google-gemma-4-31B-it", "generic"},
      {"google-gemma-4-31B-it-interleaved", "generic"},
      {"ibm-granite-granite-3.3-2B-Instruct", "granite"},
      {"ibm-granite-granite-4.0", "hermes"},
      {"ibm-granite-granite-4.1", "hermes"},
      {"inclusionai-ling-3.0-flash", "glm"},
      {"llama-cpp-deepseek-r1", "deepseek-r1"},
      {"llama-cpp-rwkv-world", "generic"},
      {"meetkai-functionary-medium-v3.1", "functionary"},
      {"meetkai-functionary-medium-v3.2", "generic"},
      {"meta-llama-Llama-3.1-8B-Instruct", "llama3"},
      {"meta-llama-Llama-3.2-3B-Instruct", "llama3"},
      {"meta-llama-Llama-3.3-70B-Instruct", "llama3"},
      {"microsoft-Phi-3.5-mini-instruct", "generic"},
      {"mistralai-Ministral-3-14B-Reasoning-2512", "mistral"},
      {"mistralai-Mistral-Nemo-Instruct-2407", "mistral-nemo"},
      {"moonshotai-Kimi-K2", "kimi-k2"},
      {"muse-glimmer", "generic"},
      {"openai-gpt-oss-120b", "gpt-oss"},
      {"openbmb-MiniCPM5-1B", "minicpm"},
      {"poolside-Laguna-S-2.1", "glm"},
      {"poolside-Laguna-XS-2.1", "glm"},
      {"poolside-Laguna-XS.2", "glm"},
      {"tencent-Hy3", "hunyuan"},
      {"unsloth-Apriel-1.5", "apriel"},
      {"unsloth-mistral-Devstral-Small-2507", "mistral"},
      {"upstage-Solar-Open-100B", "solar"},
  };
  const std::filesystem::path folder = "models/vocab/templates";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no templates (tools/get_models.py)";
  size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    std::ifstream file(entry.path());
    const std::string source{std::istreambuf_iterator<char>(file), {}};
    const auto expected = formats.find(entry.path().stem().string());
    ASSERT_NE(expected, formats.end()) << entry.path();
    const auto chat_template = text::ChatTemplate::Compile(source, "<s>", "</s>");
    ASSERT_TRUE(chat_template.has_value()) << entry.path();
    EXPECT_EQ(FindToolFormat(**chat_template).name, expected->second) << entry.path();
    ++seen;
  }
  EXPECT_EQ(seen, formats.size());
}

TEST(ToolCalls, NameAndArgumentsStream) {
  ToolParsing parsing;
  parsing.format = ToolFormatByName("hermes");
  parsing.tools = std::make_shared<const ToolSet>(TwoTools());
  const auto parser = MakeToolParser(parsing);
  const auto push = [&](const char* text) {
    ToolOutput out;
    parser->Push(text, &out);
    return out.deltas;
  };
  EXPECT_TRUE(push("Hi <tool_call>\n{\"name\": \"get_").empty());
  EXPECT_TRUE(push("weather\", \"arg").empty());
  auto deltas = push("uments\": {\"ci");
  ASSERT_EQ(deltas.size(), 1u);
  EXPECT_EQ(deltas[0].name, "get_weather");
  EXPECT_EQ(deltas[0].arguments, "{\"ci");
  EXPECT_THAT(deltas[0].id, testing::MatchesRegex("call_[A-Za-z0-9]{24}"));
  deltas = push("ty\": \"Par");
  ASSERT_EQ(deltas.size(), 1u);
  EXPECT_EQ(deltas[0].index, 0);
  EXPECT_TRUE(deltas[0].id.empty() && deltas[0].name.empty());
  EXPECT_EQ(deltas[0].arguments, "ty\": \"Par");
}

TEST(ToolCalls, OneCallOnly) {
  const std::string two =
      "<tool_call>\n{\"name\": \"get_time\", \"arguments\": {\"tz\": \"CET\"}}\n</tool_call>\n"
      "<tool_call>\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>\n";
  const Parsed parsed = Parse("hermes", {two}, true, 1);
  EXPECT_EQ(parsed.all, two);
  EXPECT_EQ(parsed.content, "");
  EXPECT_THAT(parsed.calls, ElementsAre(kTime));
}

// A model that stops within a call is told from one that was stopped.
TEST(ToolCalls, CutArgumentsStayCut) {
  const std::string half = "<function=get_weather>\n<parameter=city>\nPar";
  EXPECT_THAT(Parse("qwen3-coder", {half}, false).calls,
              ElementsAre(Call{"get_weather", "{\"city\": \"Par"}));
  EXPECT_THAT(Parse("qwen3-coder", {half}, true).calls,
              ElementsAre(Call{"get_weather", "{\"city\": \"Par\"}"}));
  EXPECT_THAT(
      Parse("hermes", {"<tool_call>{\"name\": \"get_time\", \"arguments\": {\"tz"}, false).calls,
      ElementsAre(Call{"get_time", "{\"tz"}));
}

TEST(ToolCalls, IdsOfTheModelAreKept) {
  ToolParsing parsing;
  parsing.format = ToolFormatByName("kimi-k2");
  parsing.tools = std::make_shared<const ToolSet>(TwoTools());
  const auto parser = MakeToolParser(parsing);
  ToolOutput out;
  parser->Push(
      "<|tool_call_begin|>functions.get_time:0<|tool_call_argument_begin|>{}<|tool_call_end|>"
      "<|tool_call_begin|>functions.get_time:0<|tool_call_argument_begin|>{}<|tool_call_end|>",
      &out);
  ASSERT_EQ(out.deltas.size(), 2u);
  EXPECT_EQ(out.deltas[0].id, "functions.get_time:0");
  EXPECT_NE(out.deltas[1].id, out.deltas[0].id);  // but not twice
  parsing.format = ToolFormatByName("mistral-nemo");
  parsing.ids = CallIds::kNineLetters;
  ToolOutput other;
  MakeToolParser(parsing)->Push("[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}}]", &other);
  ASSERT_EQ(other.deltas.size(), 1u);
  EXPECT_THAT(other.deltas[0].id, testing::MatchesRegex("[A-Za-z0-9]{9}"));
}

}  // namespace
}  // namespace lb::api

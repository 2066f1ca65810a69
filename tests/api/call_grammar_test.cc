// Bound calls: each format's grammar takes what its parser reads, names and arguments that are
// wrong are refused, free text is bound from a call's mark on, and what cannot be kept is an error.
#include "api/tools/call_grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/json_reader.h"
#include "tests/api/fakes.h"

namespace lb::api {
namespace {

using grammar::Constraint;

ToolOptions Tools(bool must_call, bool strict = false) {
  auto body = ParseJsonObject(
                  R"({"tools":[{"function":{"name":"get_weather","parameters":{"type":"object",
                     "properties":{"city":{"type":"string"},"days":{"type":"integer"}},
                     "required":["city"]}}},{"function":{"name":"get_time"}}]})")
                  .value();
  if (must_call) body["tool_choice"] = "required";
  if (strict) body["tools"].at(0).at("function").as_object()["strict"] = true;
  return ParseTools(Fields(body)).value();
}

class Grammar {
 public:
  Grammar(std::string_view format, const ToolOptions& tools, CallGrammarOptions options = {})
      : compiler_(tokenizer_) {
    const auto constraint = CallGrammar(*ToolFormatByName(format), tools, options);
    EXPECT_TRUE(constraint.has_value()) << format << ": " << constraint.error().message;
    if (!constraint.has_value()) return;
    auto compiled = compiler_.Compile(*constraint);
    EXPECT_TRUE(compiled.has_value()) << format << ": " << compiled.error().message;
    if (compiled.has_value()) grammar_ = *compiled;
  }
  bool Takes(const std::string& text) const {
    if (grammar_ == nullptr) return false;
    grammar::Matcher matcher(grammar_);
    return matcher.TakeText(text) && matcher.IsComplete();
  }
  bool Begins(const std::string& text) const {
    if (grammar_ == nullptr) return false;
    return grammar::Matcher(grammar_).TakeText(text);
  }

 private:
  ByteTokenizer tokenizer_;
  grammar::Compiler compiler_;
  std::shared_ptr<const grammar::CompiledGrammar> grammar_;
};

// A value as each style of arguments writes it, and nothing for no arguments.
std::string Written(const CallShape& shape, const std::string& city, const std::string& days) {
  switch (shape.arguments) {
    case CallShape::Arguments::kJson:
      return "{\"city\": \"" + city + "\", \"days\": " + days + "}";
    case CallShape::Arguments::kQwenXml:
      return "<parameter=city>\n" + city + "\n</parameter>\n<parameter=days>\n" + days +
             "\n</parameter>\n";
    case CallShape::Arguments::kGlmXml:
      return "<arg_key>city</arg_key>\n<arg_value>" + city +
             "</arg_value>\n<arg_key>days</arg_key>\n<arg_value>" + days + "</arg_value>\n";
    case CallShape::Arguments::kMiniMaxXml:
      return "<parameter name=\"city\">" + city + "</parameter>\n<parameter name=\"days\">" + days +
             "</parameter>\n";
    case CallShape::Arguments::kDeepSeekXml:
      return "<｜DSML｜parameter name=\"city\" string=\"true\">" + city +
             "</｜DSML｜parameter>\n<｜DSML｜parameter name=\"days\" string=\"false\">" + days +
             "</｜DSML｜parameter>\n";
  }
  return "";
}

std::string NoArguments(const CallShape& shape) {
  return shape.arguments == CallShape::Arguments::kJson ? "{}" : "";
}

std::string Call(const CallShape& shape, const std::string& name, const std::string& arguments) {
  return shape.before_name + name + shape.after_name + arguments + shape.after_arguments;
}

TEST(CallGrammar, WhatIsBoundIsWhatTheParserReads) {
  size_t bound = 0;
  for (const std::string_view name : ToolFormatNames()) {
    const ToolFormat& format = *ToolFormatByName(name);
    const CallShape& shape = format.shape;
    if (shape.before_name.empty()) continue;
    ++bound;
    const Grammar grammar(name, Tools(true));
    const std::string one = Call(shape, "get_weather", Written(shape, "Paris", "2"));
    const std::string other = Call(shape, "get_time", NoArguments(shape));
    const auto answer = [&](const std::string& calls) {
      return shape.before_all + calls + shape.after_all;
    };
    EXPECT_TRUE(grammar.Takes(answer(one))) << answer(one);
    EXPECT_TRUE(grammar.Takes(answer(other))) << answer(other);
    EXPECT_EQ(grammar.Takes(answer(one + shape.between + other)), !shape.one) << name;
    EXPECT_FALSE(grammar.Begins("Words")) << name;
    EXPECT_FALSE(grammar.Takes("")) << name;
    EXPECT_FALSE(grammar.Begins(answer(Call(shape, "get_wind", "")))) << name;
    EXPECT_FALSE(grammar.Takes(answer(Call(shape, "get_weather", NoArguments(shape))))) << name;
    EXPECT_FALSE(grammar.Takes(answer(Call(shape, "get_weather", Written(shape, "Paris", "x")))))
        << name;

    // And the parser finds the same calls in it.
    ToolParsing parsing;
    parsing.format = &format;
    parsing.tools = std::make_shared<const ToolSet>(Tools(true).set);
    ToolOutput out;
    const auto parser = MakeToolParser(parsing);
    parser->Push(answer(one), &out);
    parser->Flush(true, &out);
    std::vector<ToolCall> calls;
    for (const ToolCallDelta& delta : out.deltas) AddDelta(delta, &calls);
    ASSERT_EQ(calls.size(), 1u) << name << ": " << answer(one);
    EXPECT_EQ(calls[0].name, "get_weather") << name;
    EXPECT_EQ(calls[0].arguments, "{\"city\": \"Paris\", \"days\": 2}") << name;
    for (const Segment& segment : out.segments) EXPECT_EQ(segment.kind, SegmentKind::kCall);
  }
  EXPECT_GT(bound, 20u);
}

TEST(CallGrammar, OneCallWhereParallelCallsAreOff) {
  ToolOptions tools = Tools(true);
  tools.parallel = false;
  const Grammar grammar("hermes", tools);
  const std::string call = "<tool_call>\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>";
  EXPECT_TRUE(grammar.Takes(call));
  EXPECT_FALSE(grammar.Begins(call + "\n"));
}

TEST(CallGrammar, StrictToolsAreBoundFromTheMarkOn) {
  for (const std::string_view name : ToolFormatNames()) {
    const CallShape& shape = ToolFormatByName(name)->shape;
    if (shape.before_name.empty()) continue;
    const Grammar grammar(name, Tools(false, true));
    const std::string good = shape.before_all +
                             Call(shape, "get_weather", Written(shape, "Paris", "2")) +
                             shape.after_all;
    const std::string bad =
        shape.before_all + Call(shape, "get_weather", Written(shape, "Paris", "x"));
    const std::string unknown = shape.before_all + Call(shape, "get_wind", "");
    const std::string words = shape.trigger.empty() ? "" : "Some words.\n";
    EXPECT_TRUE(grammar.Takes("Just words.")) << name;
    EXPECT_TRUE(grammar.Takes(words + good)) << name << ": " << good;
    EXPECT_FALSE(grammar.Begins(words + bad)) << name;
    EXPECT_FALSE(grammar.Begins(words + unknown)) << name;
  }
  // A tool that is not strict takes any object.
  const Grammar hermes("hermes", Tools(false, true));
  EXPECT_TRUE(hermes.Takes(
      "<tool_call>\n{\"name\": \"get_time\", \"arguments\": {\"any\": [1]}}\n</tool_call>"));
}

TEST(CallGrammar, NothingIsBoundWithoutNeed) {
  for (const std::string_view name : ToolFormatNames()) {
    const auto constraint = CallGrammar(*ToolFormatByName(name), Tools(false), {});
    ASSERT_TRUE(constraint.has_value());
    EXPECT_EQ(constraint->kind, Constraint::Kind::kNone);
  }
}

TEST(CallGrammar, ThoughtsOnChannelsComeFirst) {
  CallGrammarOptions options;
  options.channels = true;
  const std::string call =
      "<|channel|>commentary to=functions.get_time <|constrain|>json<|message|>{}";
  const std::string thought = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant";
  const Grammar grammar("gpt-oss", Tools(true), options);
  EXPECT_TRUE(grammar.Takes(call));
  EXPECT_TRUE(grammar.Takes(thought + call));
  EXPECT_FALSE(grammar.Begins(thought + "<|channel|>final"));
  options.thinks = false;
  EXPECT_FALSE(Grammar("gpt-oss", Tools(true), options).Begins(thought));
}

TEST(CallGrammar, ACallOrTheBoundAnswer) {
  CallGrammarOptions options;
  options.answer = {Constraint::Kind::kJsonSchema,
                    R"({"type":"object","properties":{"a":)"
                    R"({"type":"integer"}},"required":["a"],"additionalProperties":false})",
                    "response_format"};
  const Grammar grammar("hermes", Tools(false), options);
  EXPECT_TRUE(grammar.Takes("{\"a\": 1}"));
  EXPECT_TRUE(grammar.Takes(
      "<tool_call>\n{\"name\": \"get_time\", \"arguments\": {\"b\": 1}}\n</tool_call>"));
  EXPECT_FALSE(grammar.Begins("Words"));
  // Other grammars cannot stand beside tools.
  options.answer = {Constraint::Kind::kRegex, "a+", "guided_regex"};
  const auto refused = CallGrammar(*ToolFormatByName("hermes"), Tools(false), options);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().param, "guided_regex");
}

TEST(CallGrammar, WhatCannotBeEnforcedIsAnError) {
  auto body = ParseJsonObject(R"({"tools":[{"function":{"name":"g"}},{"function":{"name":"f",
      "parameters":{"type":"object","properties":{"a":{"not":{}}}}}}],"tool_choice":"required"})")
                  .value();
  const auto check = [&](const char* param, testing::Matcher<std::string> message) {
    const auto refused =
        CallGrammar(*ToolFormatByName("hermes"), ParseTools(Fields(body)).value(), {});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().param, param);
    EXPECT_THAT(refused.error().message, message);
  };
  check("tools[1].function.parameters",
        testing::AllOf(testing::HasSubstr("not"), testing::HasSubstr("#/properties/a")));
  body["tool_choice"] = "auto";
  body["tools"].at(1).at("function").as_object()["strict"] = true;
  check("tools[1].function.parameters", testing::HasSubstr("not"));
  body["tools"].at(1).at("function").as_object()["strict"] = false;
  EXPECT_TRUE(
      CallGrammar(*ToolFormatByName("hermes"), ParseTools(Fields(body)).value(), {}).has_value());
  // The chosen tool alone is looked at.
  body["tool_choice"] = {{"type", "function"}, {"function", {{"name", "g"}}}};
  EXPECT_TRUE(
      CallGrammar(*ToolFormatByName("hermes"), ParseTools(Fields(body)).value(), {}).has_value());
  const auto unknown = CallGrammar(*ToolFormatByName("hunyuan"), Tools(true), {});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().param, "tool_choice");
}

}  // namespace
}  // namespace lb::api

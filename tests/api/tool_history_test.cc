// Earlier turns with tools: ids and names that are missing are found, arguments come as the
// template takes them, ill-formed ones end no conversation, and templates that know no tools are
// told of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/json_reader.h"
#include "tests/api/fakes.h"

namespace lb::api {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Prompt(const std::string& chat_template, const std::string& body) {
  FakeEngine engine([](const Request&) { return std::vector<TokenEvent>(); });
  const auto service = MakeFakeService(&engine, {}, chat_template);
  const auto reply = service->ApplyTemplate(body);
  EXPECT_TRUE(reply.has_value()) << reply.error().message;
  if (!reply.has_value()) return "";
  return std::string(ParseJson(*reply).value().at("prompt").as_string());
}

std::string Body(const std::string& call, const std::string& result, const std::string& more = "") {
  return R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,)"
         R"("tool_calls":[)" +
         call + R"(]},{"role":"tool",)" + result + R"("content":"sunny"}])" + more + "}";
}

constexpr char kTools[] =
    R"(,"tools":[{"type":"function","function":{"name":"f","description":"does it"}}])";

// Shows everything, arguments as JSON text as they are.
constexpr char kText[] =
    "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}{% for m in messages %}"
    "<{{ m.role }}|{{ m.name }}|{{ m.tool_call_id }}|{{ m.content }}>"
    "{% for c in m.tool_calls or [] %}[{{ c.id }}|{{ c.type }}|{{ c.function.name }}|"
    "{{ c.function.arguments }}]{% endfor %}{% endfor %}";
// Wants an object.
constexpr char kObject[] =
    "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}{% for m in messages %}"
    "{{ m.content }}{% for c in m.tool_calls or [] %}{% for k, v in c.function.arguments.items() "
    "%}<{{ k }}={{ v }}>{% endfor %}{% endfor %}{% endfor %}";
// Demands ids as Mistral's models know them.
constexpr char kNine[] =
    "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}{% for m in messages %}"
    "{{ m.content }}{% for c in m.tool_calls or [] %}{% if c.id|length != 9 %}"
    "{{ raise_exception('nine') }}{% endif %}{{ c.id }}{{ c.function.arguments }}{% endfor %}"
    "{% if m.role == 'tool' %}({{ m.tool_call_id }}){% endif %}{% endfor %}";
// Knows nothing of tools, and no role but these two, in turns.
constexpr char kPlain[] =
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('turns') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}";

TEST(ToolHistory, WhatIsMissingIsFound) {
  const std::string prompt = Prompt(kText, Body(R"({"function":{"name":"f","arguments":{"a":1}}},)"
                                                R"({"function":{"name":"g"}})",
                                                "") /* no id */);
  EXPECT_THAT(prompt, HasSubstr("[call_0|function|f|{\"a\":1}]"));
  EXPECT_THAT(prompt, HasSubstr("[call_1|function|g|{}]"));
  EXPECT_THAT(prompt, HasSubstr("<tool|f|call_0|sunny>"));
  // What is there stays.
  const std::string other =
      Prompt(kText, Body(R"({"id":"x","function":{"name":"f"}},{"id":"y","function":{"name":"g"}})",
                         R"("tool_call_id":"y",)"));
  EXPECT_THAT(other, HasSubstr("<tool|g|y|sunny>"));
}

TEST(ToolHistory, ArgumentsAsTheTemplateTakesThem) {
  for (const char* arguments : {R"("{\"a\": 1}")", R"({"a":1})"}) {
    const std::string call =
        std::string(R"({"id":"x","function":{"name":"f","arguments":)") + arguments + "}}";
    EXPECT_THAT(Prompt(kObject, Body(call, "")), HasSubstr("<a=1>"));
  }
  for (const char* bad : {"{\\\"a\\\": ", "no", "[1]"}) {
    const std::string call =
        std::string(R"({"id":"x","function":{"name":"f","arguments":")") + bad + "\"}}";
    EXPECT_THAT(Prompt(kObject, Body(call, "")), HasSubstr("<arguments="));
    EXPECT_THAT(Prompt(kText, Body(call, "")), HasSubstr("|f|"));
  }
  EXPECT_THAT(Prompt(kObject, Body(R"({"function":{"name":"f","arguments":""}})", "")),
              Not(HasSubstr("<a")));
}

TEST(ToolHistory, IdsOfNineLetters) {
  const std::string call = R"({"id":"call_abcdefghijkl","function":{"name":"f"}})";
  const std::string body = Body(call, R"("tool_call_id":"call_abcdefghijkl",)");
  const std::string prompt = Prompt(kNine, body);
  const size_t at = prompt.find('(');
  ASSERT_NE(at, std::string::npos);
  const std::string id = prompt.substr(at + 1, 9);
  EXPECT_EQ(prompt.substr(at + 10, 1), ")");
  EXPECT_THAT(prompt, HasSubstr(id + "{}"));
  EXPECT_EQ(Prompt(kNine, body), prompt);
  EXPECT_THAT(Prompt(kNine, Body(R"({"id":"abcdef123","function":{"name":"f"}})", "")),
              HasSubstr("(abcdef123)"));
}

TEST(ToolHistory, TemplatesThatKnowNoToolsAreTold) {
  const std::string prompt =
      Prompt(kPlain, Body(R"({"id":"x","function":{"name":"f","arguments":"{\"a\": 1}"}})",
                          R"("tool_call_id":"x",)", kTools));
  EXPECT_THAT(prompt, HasSubstr("<user>You can call functions."));
  EXPECT_THAT(prompt, HasSubstr("does it"));
  EXPECT_THAT(
      prompt,
      HasSubstr("<assistant>{\"name\": \"f\", \"arguments\": {\"a\": 1}}<user>Result of f"));
  // Without tools nothing is said of them.
  EXPECT_EQ(Prompt(kPlain, R"({"messages":[{"role":"user","content":"hi"}]})"), "<user>hi");
  // The system message is the place where there is one.
  EXPECT_THAT(Prompt(kChatMl, Body(R"({"function":{"name":"f"}})", "", kTools)),
              HasSubstr("<|im_start|>system\nYou can call functions."));
}

}  // namespace
}  // namespace lb::api

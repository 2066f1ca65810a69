// Tool calls and bound answers in the forms of Anthropic, Ollama and OpenAI's responses: plain and
// streamed, and what a request says about them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/anthropic/messages_request.h"
#include "api/json_reader.h"
#include "api/ollama/ollama_request.h"
#include "api/responses/responses_request.h"
#include "tests/api/tool_fixture.h"

namespace lb::api {
namespace {

namespace json = boost::json;

constexpr char kTwo[] =
    "I look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\":\n \"}\\\"\\n\xC3\xA9\"}}\n"
    "</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>";
constexpr char kCut[] = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"b";
constexpr char kAsked[] = "\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],";
// Of chat and Ollama; of Anthropic; of responses.
constexpr char kChatTools[] =
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]";
constexpr char kMessagesTools[] =
    "\"tools\":[{\"name\":\"f\",\"input_schema\":{}},{\"name\":\"g\",\"input_schema\":{}}]";
constexpr char kResponsesTools[] =
    "\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"function\",\"name\":\"g\"}]";

class ApiTools : public ToolTest {
 protected:
  json::value Plain(Call call, const std::string& fields) {
    return ParseJson(Ask(call, fields, false)).value();
  }
  // The JSON of each event.
  std::vector<json::value> Events(Call call, const std::string& fields) {
    const std::string out = Ask(call, fields, true);
    std::vector<json::value> events;
    for (size_t at = out.find("data: "); at != std::string::npos; at = out.find("data: ", at)) {
      const size_t end = out.find("\n\n", at);
      events.push_back(ParseJson(out.substr(at + 6, end - at - 6)).value());
      at = end;
    }
    return events;
  }
};

const json::object kArguments = {{"a", "}\"\n\xC3\xA9"}};

TEST_F(ApiTools, AnthropicPlain) {
  Says(kTwo);
  const json::value reply = Plain(&Service::Messages, std::string(kAsked) + kMessagesTools);
  const json::array& blocks = reply.at("content").as_array();
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[0].at("text").as_string(), "I look.");
  EXPECT_EQ(blocks[1].at("type").as_string(), "tool_use");
  EXPECT_EQ(blocks[1].at("name").as_string(), "f");
  EXPECT_EQ(blocks[1].at("input"), kArguments);
  EXPECT_NE(blocks[1].at("id"), blocks[2].at("id"));
  EXPECT_EQ(blocks[2].at("input"), json::object());
  EXPECT_EQ(reply.at("stop_reason").as_string(), "tool_use");
}

TEST_F(ApiTools, AnthropicStreamed) {
  Says(kTwo);
  std::vector<std::string> types, parts;
  for (const json::value& event :
       Events(&Service::Messages, std::string(kAsked) + kMessagesTools)) {
    const json::string& type = event.at("type").as_string();
    if (type == "content_block_start") {
      EXPECT_EQ(event.at("index").as_int64(), static_cast<int64_t>(types.size()));
      types.emplace_back(event.at("content_block").at("type").as_string());
      parts.emplace_back();
      if (types.back() == "tool_use") {
        EXPECT_EQ(event.at("content_block").at("input"), json::object());
      }
    } else if (type == "content_block_delta") {
      const json::object& delta = event.at("delta").as_object();
      EXPECT_EQ(event.at("index").as_int64() + 1, static_cast<int64_t>(types.size()));
      parts.back() += delta.at(types.back() == "text" ? "text" : "partial_json").as_string();
    } else if (type == "message_delta") {
      EXPECT_EQ(event.at("delta").at("stop_reason").as_string(), "tool_use");
    }
  }
  EXPECT_EQ(types, (std::vector<std::string>{"text", "tool_use", "tool_use"}));
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(ParseJson(parts[1]).value(), kArguments);
  EXPECT_EQ(ParseJson(parts[2]).value(), json::object());
}

TEST_F(ApiTools, OllamaPlainAndStreamed) {
  Says(kTwo);
  const json::value plain = Plain(&Service::OllamaChat, std::string(kAsked) + kChatTools);
  EXPECT_EQ(plain.at("done_reason").as_string(), "stop");
  EXPECT_EQ(plain.at("message").at("content").as_string(), "I look.");
  const json::array& calls = plain.at("message").at("tool_calls").as_array();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].at("function").at("name").as_string(), "f");
  EXPECT_EQ(calls[0].at("function").at("arguments"), kArguments);
  const std::string out = Ask(&Service::OllamaChat, std::string(kAsked) + kChatTools, true);
  json::array streamed;
  std::string text;
  for (size_t at = 0; at < out.size();) {
    const size_t end = out.find('\n', at);
    const json::value line = ParseJson(out.substr(at, end - at)).value();
    text += line.at("message").at("content").as_string();
    if (const auto* more = line.at("message").as_object().if_contains("tool_calls")) {
      for (const json::value& call : more->as_array()) streamed.push_back(call.at("function"));
    }
    at = end + 1;
  }
  EXPECT_EQ(text, "I look.");
  EXPECT_EQ(streamed, (json::array{calls[0].at("function"), calls[1].at("function")}));
}

TEST_F(ApiTools, ResponsesPlainAndStreamed) {
  Says(kTwo);
  const std::string fields = std::string("\"input\":\"q\",") + kResponsesTools;
  const json::value plain = Plain(&Service::Responses, fields);
  EXPECT_EQ(plain.at("status").as_string(), "completed");
  const json::array& output = plain.at("output").as_array();
  ASSERT_EQ(output.size(), 3u);
  EXPECT_EQ(output[0].at("content").at(0).at("text").as_string(), "I look.");
  EXPECT_EQ(output[1].at("type").as_string(), "function_call");
  EXPECT_EQ(output[1].at("name").as_string(), "f");
  EXPECT_EQ(ParseJson(output[1].at("arguments").as_string()).value(), kArguments);
  EXPECT_NE(output[1].at("call_id"), output[2].at("call_id"));
  EXPECT_EQ(plain.at("tools").as_array().size(), 2u);
  std::string joined, done;
  const auto events = Events(&Service::Responses, fields);
  for (const json::value& event : events) {
    const json::string& type = event.at("type").as_string();
    if (type == "response.function_call_arguments.delta") joined += event.at("delta").as_string();
    if (type == "response.function_call_arguments.done") done += event.at("arguments").as_string();
  }
  EXPECT_EQ(joined, done);
  const json::value& last = events.back().at("response");
  ASSERT_EQ(last.at("output").as_array().size(), 3u);
  EXPECT_EQ(last.at("output").at(1).at("arguments"), output[1].at("arguments"));
  EXPECT_EQ(last.at("output").at(2).at("arguments"), output[2].at("arguments"));
}

TEST_F(ApiTools, ACallThatWasCutIsNoObject) {
  Says(kCut, FinishReason::kLength);
  const json::value message = Plain(&Service::Messages, std::string(kAsked) + kMessagesTools);
  EXPECT_EQ(message.at("content").at(0).at("input"), json::object());
  EXPECT_NE(message.at("stop_reason").as_string(), "tool_use");
  const json::value chat = Plain(&Service::OllamaChat, std::string(kAsked) + kChatTools);
  EXPECT_EQ(chat.at("done_reason").as_string(), "length");
  const json::value response =
      Plain(&Service::Responses, std::string("\"input\":\"q\",") + kResponsesTools);
  EXPECT_EQ(response.at("output").at(0).at("status").as_string(), "incomplete");
  EXPECT_EQ(response.at("output").at(0).at("arguments").as_string(), "{\"a\": \"b");
}

TEST_F(ApiTools, ChoicesAreOpenAis) {
  const auto messages = [](const std::string& choice) {
    const auto object = ParseJsonObject("{" + std::string(kAsked) + kMessagesTools +
                                        ",\"tool_choice\":" + choice + "}");
    return ParseMessagesRequest(object.value(), {}, ByteTokenizer()).value().tools;
  };
  EXPECT_EQ(messages(R"({"type":"auto"})").set.tools().size(), 2u);
  EXPECT_FALSE(messages(R"({"type":"auto","disable_parallel_tool_use":true})").parallel);
  EXPECT_TRUE(messages(R"({"type":"none"})").set.empty());
  EXPECT_TRUE(messages(R"({"type":"any"})").must_call);
  const ToolOptions one = messages(R"({"type":"tool","name":"g"})");
  EXPECT_TRUE(one.must_call);
  ASSERT_EQ(one.set.tools().size(), 1u);
  EXPECT_EQ(one.set.tools()[0].name, "g");
  const auto responses = [](const std::string& choice) {
    const auto object = ParseJsonObject("{\"input\":\"q\"," + std::string(kResponsesTools) +
                                        ",\"tool_choice\":" + choice + "}");
    return ParseResponsesRequest(object.value(), {}, ByteTokenizer()).value().chat.tools;
  };
  EXPECT_TRUE(responses("\"none\"").set.empty());
  EXPECT_TRUE(responses("\"required\"").must_call);
  EXPECT_EQ(responses(R"({"type":"function","name":"g"})").set.tools()[0].name, "g");
  const ToolOptions some = responses(
      R"({"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]})");
  EXPECT_FALSE(some.must_call);
  EXPECT_EQ(some.set.tools().size(), 1u);
}

TEST_F(ApiTools, FormatsBindTheAnswer) {
  using Kind = grammar::Constraint::Kind;
  const auto object = [](const std::string& fields) {
    return ParseJsonObject("{" + fields + "}").value();
  };
  const std::string schema = R"({"type":"object","properties":{"a":{"type":"integer"}}})";
  const std::string named = "{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":" + schema + "}";
  const auto ollama = [&](const std::string& format) {
    const auto body = object(std::string(kAsked) + "\"format\":" + format);
    return ParseOllamaChat(body, {}, ByteTokenizer()).value().chat.options.constraint.kind;
  };
  EXPECT_EQ(ollama("\"\""), Kind::kNone);
  EXPECT_EQ(ollama("\"json\""), Kind::kJsonObject);
  EXPECT_EQ(ollama(schema), Kind::kJsonSchema);
  for (const std::string& field :
       {"\"output_format\":" + named, "\"output_config\":{\"format\":" + named + "}"}) {
    const auto request =
        ParseMessagesRequest(object(std::string(kAsked) + field), {}, ByteTokenizer());
    EXPECT_EQ(request.value().options.constraint.kind, Kind::kJsonSchema) << field;
  }
  const auto responses = [&](const std::string& format) {
    const auto body = object("\"input\":\"q\",\"text\":{\"format\":" + format + "}");
    return ParseResponsesRequest(body, {}, ByteTokenizer()).value().chat.options.constraint.kind;
  };
  EXPECT_EQ(responses("{\"type\":\"text\"}"), Kind::kNone);
  EXPECT_EQ(responses("{\"type\":\"json_object\"}"), Kind::kJsonObject);
  EXPECT_EQ(responses(named), Kind::kJsonSchema);
}

}  // namespace
}  // namespace lb::api

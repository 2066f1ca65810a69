// Chat with tools: what a model writes becomes tool_calls, streamed as plain; finish_reason, ids,
// indexes and null content are OpenAI's; one call only where one is asked for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "api/json_reader.h"
#include "tests/api/tool_fixture.h"

namespace lb::api {
namespace {

namespace json = boost::json;

constexpr char kTwo[] =
    "I look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"}\\\"\\n"
    "</tool_call>\xC3\xA9\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"get_time\", \"arguments\": "
    "{\"tz\": \"CET\"}}\n</tool_call>";
constexpr char kTools[] =
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\"}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"get_time\"}}]";

class ToolReplies : public ToolTest {
 protected:
  std::string Ask(const std::string& fields, bool stream) {
    return ToolTest::Ask(&Service::Chat,
                         "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]," + fields, stream);
  }

  json::object Choice(const std::string& fields) {
    return ParseJson(Ask(fields, false)).value().at("choices").at(0).as_object();
  }

  // As a client puts it together.
  json::object Streamed(const std::string& fields) {
    const std::string out = Ask(fields, true);
    std::string content, reason;
    bool spoke = false;
    json::array calls;
    for (size_t at = 0; at < out.size();) {
      const size_t end = out.find("\n\n", at);
      const std::string event = out.substr(at + 6, end - at - 6);
      at = end + 2;
      if (event == "[DONE]") break;
      const json::value value = ParseJson(event).value();
      const json::object& choice = value.at("choices").at(0).as_object();
      const json::object& delta = choice.at("delta").as_object();
      if (delta.contains("content") && delta.at("content").is_string()) {
        content += delta.at("content").as_string();
        spoke = true;
      }
      if (delta.contains("tool_calls")) {
        for (const json::value& part : delta.at("tool_calls").as_array()) {
          const auto index = static_cast<size_t>(part.at("index").as_int64());
          const json::object& function = part.at("function").as_object();
          if (index == calls.size()) {
            EXPECT_EQ(part.at("type").as_string(), "function");
            calls.push_back({{"id", part.at("id")},
                             {"type", "function"},
                             {"function", {{"name", function.at("name")}, {"arguments", ""}}}});
          } else {
            EXPECT_FALSE(part.as_object().contains("id"));
            EXPECT_FALSE(function.contains("name"));
          }
          EXPECT_EQ(index + 1, calls.size());
          calls[index].at("function").at("arguments").as_string() +=
              function.at("arguments").as_string();
        }
      }
      if (choice.at("finish_reason").is_string()) reason = choice.at("finish_reason").as_string();
    }
    json::object message = {{"role", "assistant"}};
    message["content"] = spoke ? json::value(content) : json::value();
    if (!calls.empty()) message["tool_calls"] = calls;
    return {{"message", message}, {"finish_reason", reason}};
  }

  // The calls' ids must be there and differ; they are new each time.
  static json::value WithoutIds(json::value message) {
    std::set<std::string> ids;
    if (!message.as_object().contains("tool_calls")) return message;
    for (json::value& call : message.at("tool_calls").as_array()) {
      EXPECT_TRUE(ids.insert(std::string(call.at("id").as_string())).second);
      call.as_object().erase("id");
    }
    return message;
  }
};

TEST_F(ToolReplies, TwoCallsStreamedAsPlain) {
  Says(kTwo);
  for (const char* more : {"", ",\"tool_choice\":\"auto\"", ",\"parallel_tool_calls\":true"}) {
    const json::object plain = Choice(kTools + std::string(more));
    EXPECT_EQ(plain.at("finish_reason").as_string(), "tool_calls");
    EXPECT_EQ(plain.at("message").at("content").as_string(), "I look.");
    const json::array& calls = plain.at("message").at("tool_calls").as_array();
    ASSERT_EQ(calls.size(), 2u);
    const auto arguments = ParseJson(calls[0].at("function").at("arguments").as_string()).value();
    EXPECT_EQ(arguments.at("city").as_string(), "}\"\n</tool_call>\xC3\xA9");
    EXPECT_EQ(calls[1].at("function").at("name").as_string(), "get_time");
    const json::object streamed = Streamed(kTools + std::string(more));
    EXPECT_EQ(streamed.at("finish_reason").as_string(), "tool_calls");
    EXPECT_EQ(WithoutIds(streamed.at("message")), WithoutIds(plain.at("message")));
  }
}

TEST_F(ToolReplies, OneCallWhereParallelCallsAreOff) {
  Says(kTwo);
  const std::string fields = kTools + std::string(",\"parallel_tool_calls\":false");
  const json::object plain = Choice(fields);
  EXPECT_EQ(plain.at("finish_reason").as_string(), "tool_calls");
  EXPECT_EQ(plain.at("message").at("tool_calls").as_array().size(), 1u);
  EXPECT_EQ(WithoutIds(Streamed(fields).at("message")), WithoutIds(plain.at("message")));
  // The engine is told to stop.
  EXPECT_EQ(engine_->finished, 2);
}

TEST_F(ToolReplies, NoneNeverCalls) {
  Says(kTwo);
  for (const std::string& fields :
       {std::string("\"seed\":1"), kTools + std::string(",\"tool_choice\":\"none\""),
        kTools + std::string(",\"parse_tool_calls\":false")}) {
    const json::object plain = Choice(fields);
    EXPECT_EQ(plain.at("finish_reason").as_string(), "stop");
    EXPECT_EQ(plain.at("message").at("content").as_string(), kTwo);
    EXPECT_FALSE(plain.at("message").as_object().contains("tool_calls"));
    EXPECT_EQ(Streamed(fields).at("message"), plain.at("message"));
  }
}

TEST_F(ToolReplies, ContentIsNullBesideCalls) {
  Says("\n<tool_call>{\"name\": \"get_time\", \"arguments\": {bad}}</tool_call>\n");
  const json::object plain = Choice(kTools);
  EXPECT_TRUE(plain.at("message").at("content").is_null());
  // What the model wrote, ill-formed as it is.
  EXPECT_EQ(plain.at("message").at("tool_calls").at(0).at("function").at("arguments").as_string(),
            "{bad}");
  EXPECT_EQ(WithoutIds(Streamed(kTools).at("message")), WithoutIds(plain.at("message")));
}

TEST_F(ToolReplies, ACutAnswerSaysSo) {
  Says("<tool_call>{\"name\": \"get_time\", \"arguments\": {\"tz\": \"C", FinishReason::kLength);
  const json::object plain = Choice(kTools);
  EXPECT_EQ(plain.at("finish_reason").as_string(), "length");
  EXPECT_EQ(plain.at("message").at("tool_calls").at(0).at("function").at("arguments").as_string(),
            "{\"tz\": \"C");
  EXPECT_EQ(WithoutIds(Streamed(kTools).at("message")), WithoutIds(plain.at("message")));
}

TEST_F(ToolReplies, StopStringsAreThoseOfTheContent) {
  Says(kTwo);
  EXPECT_EQ(Choice(kTools + std::string(",\"stop\":\"get_time\""))
                .at("message")
                .at("tool_calls")
                .as_array()
                .size(),
            2u);
  const json::object stopped = Choice(kTools + std::string(",\"stop\":\"look\""));
  EXPECT_EQ(stopped.at("finish_reason").as_string(), "stop");
  EXPECT_EQ(stopped.at("message").at("content").as_string(), "I ");
}

TEST_F(ToolReplies, ThoughtsAndCalls) {
  Says("<think>hm <tool_call>{}</tool_call></think>\nSo:\n<tool_call>{\"name\": \"get_time\"}");
  const json::object choice = Choice(kTools + std::string(",\"reasoning_format\":\"deepseek\""));
  EXPECT_EQ(choice.at("message").at("reasoning_content").as_string(),
            "hm <tool_call>{}</tool_call>");
  EXPECT_EQ(choice.at("message").at("content").as_string(), "So:");
  EXPECT_EQ(choice.at("message").at("tool_calls").as_array().size(), 1u);
}

}  // namespace
}  // namespace lb::api

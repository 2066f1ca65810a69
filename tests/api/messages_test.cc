// Anthropic's API: how its messages become ours, and events of a stream.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/anthropic/messages_request.h"
#include "api/json_reader.h"
#include "tests/api/fakes.h"

namespace lb::api {
namespace {

namespace json = boost::json;

Result<ChatRequest> Parse(const std::string& body) {
  const auto object = ParseJsonObject(body);
  EXPECT_TRUE(object.has_value()) << body;
  return ParseMessagesRequest(object.value(), {}, ByteTokenizer());
}

std::string Roles(const ChatRequest& request) {
  std::string roles;
  for (const ChatMessage& message : request.messages) {
    roles += message.role + "(" + message.content + ")";
  }
  return roles;
}

TEST(MessagesRequest, ToolResultsStandWhereTheyStood) {
  const auto request = Parse(
      R"({"system":[{"type":"text","text":"be"},{"type":"text","text":"brief"}],"messages":[
        {"role":"user","content":"q"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},
          {"type":"text","text":"a"},{"type":"tool_use","id":"1","name":"f","input":{"x":1}},
          {"type":"text","text":"b"},{"type":"tool_use","id":"2","name":"g"}]},
        {"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d"},
          {"type":"tool_result","tool_use_id":"2","content":[{"type":"text","text":"r"}]},
          {"type":"tool_result","tool_use_id":"1"},{"type":"text","text":"e"}]}]})");
  ASSERT_TRUE(request.has_value()) << request.error().message;
  EXPECT_EQ(Roles(*request),
            "system(be\nbrief)user(q)assistant(a\nb)user(c\nd)tool(r)tool()user(e)");
  const ChatMessage& said = request->messages[2];
  EXPECT_EQ(said.reasoning, "t");
  ASSERT_EQ(said.tool_calls.as_array().size(), 2u);
  EXPECT_EQ(said.tool_calls.at(0).at("function").at("arguments"), (json::object{{"x", 1}}));
  EXPECT_EQ(said.tool_calls.at(1).at("function").at("arguments"), json::object());
  EXPECT_EQ(request->messages[4].name, "g");
  EXPECT_EQ(request->messages[4].tool_call_id, "2");
  EXPECT_FALSE(request->continue_final_message);
}

TEST(MessagesRequest, TurnsWithoutWordsAreTurns) {
  const auto request = Parse(
      R"({"messages":[{"role":"user","content":[]},{"role":"assistant","content":[]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"r"}]}]})");
  ASSERT_TRUE(request.has_value()) << request.error().message;
  EXPECT_EQ(Roles(*request), "user()assistant()tool(r)");
}

TEST(MessagesRequest, ThinkingIsTold) {
  const auto with = [](const std::string& fields) {
    return Parse("{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]" + fields + "}").value();
  };
  EXPECT_TRUE(with("").template_args.at("enable_thinking").as_bool());
  const ChatRequest on = with(R"(,"thinking":{"type":"enabled","budget_tokens":1024})");
  EXPECT_EQ(on.thinking_budget, 1024);
  EXPECT_TRUE(on.template_args.at("enable_thinking").as_bool());
  const ChatRequest off = with(R"(,"thinking":{"type":"disabled"})");
  EXPECT_FALSE(off.template_args.at("enable_thinking").as_bool());
  const ChatRequest hard = with(R"(,"output_config":{"effort":"high"})");
  EXPECT_EQ(hard.template_args.at("reasoning_effort").as_string(), "high");
}

TEST(MessagesStream, BlocksOpenAndCloseInOrder) {
  FakeEngine engine([](const Request& request) {
    return FakeEngine::Saying(request, "<think>\nhm\n</think>\n\nyes");
  });
  const auto service =
      MakeFakeService(&engine, {}, std::string(kChatMl) + "{# <think> </think> #}");
  const std::string body = R"({"messages":[{"role":"user","content":"q"}],"stream":true})";
  auto reply = service->Messages(body, {"id", ""});
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  std::string out, kinds, words;
  while (!(*reply)->Advance(&out)) {
  }
  for (size_t at = 0; at < out.size();) {
    const size_t name = out.find("event: ", at) + 7, data = out.find("\ndata: ", name);
    const size_t end = out.find("\n\n", data);
    const auto event = ParseJson(out.substr(data + 7, end - data - 7));
    ASSERT_TRUE(event.has_value()) << out;
    EXPECT_EQ(event->at("type").as_string(), out.substr(name, data - name));
    if (event->at("type") == "content_block_delta") {
      const json::object& delta = event->at("delta").as_object();
      if (delta.contains("text")) words += delta.at("text").as_string();
      if (delta.contains("thinking")) words += delta.at("thinking").as_string();
      if (delta.at("type") == "signature_delta") words += "|";
    } else {
      kinds += out.substr(name, data - name) + " ";
    }
    at = end + 2;
  }
  EXPECT_EQ(words, "hm|yes");
  EXPECT_EQ(kinds,
            "message_start content_block_start content_block_stop content_block_start "
            "content_block_stop message_delta message_stop ");
}

TEST(MessagesStream, AnErrorAfterTheFirstEventIsAnEvent) {
  FakeEngine engine([](const Request&) {
    return std::vector<TokenEvent>{FakeEngine::Admitted(3), FakeEngine::Token('a'),
                                   FakeEngine::Failed(ErrorCode::kComputeFault, "broken")};
  });
  const auto service = MakeFakeService(&engine);
  auto reply = service->Messages(R"({"messages":[{"role":"user","content":"q"}],"stream":true})",
                                 {"id", ""});
  std::string out;
  while (!(*reply)->Advance(&out)) {
  }
  EXPECT_THAT(out, testing::EndsWith("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                                     "\"api_error\",\"message\":\"broken\"}}\n\n"));
}

}  // namespace
}  // namespace lb::api

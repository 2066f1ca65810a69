// OpenAI's responses: how items become messages, and how a stream fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/json_reader.h"
#include "api/responses/responses_request.h"
#include "tests/api/fakes.h"

namespace lb::api {
namespace {

namespace json = boost::json;

Result<ResponsesRequest> Parse(const std::string& body) {
  const auto object = ParseJsonObject(body);
  EXPECT_TRUE(object.has_value()) << body;
  return ParseResponsesRequest(object.value(), {}, ByteTokenizer());
}

std::string Told(const std::string& input) {
  const auto request = Parse("{\"input\":" + input + "}");
  if (!request.has_value()) return request.error().message;
  std::string told;
  for (const ChatMessage& message : request->chat.messages) {
    told += message.role + "(" + message.content;
    if (!message.reasoning.empty()) told += " thought " + message.reasoning;
    if (message.tool_calls.is_array()) {
      for (const json::value& call : message.tool_calls.get_array()) {
        told += " called ";
        told += call.at("function").at("name").as_string();
      }
    }
    told += ")";
  }
  return told;
}

constexpr char kThought[] =
    R"({"type":"reasoning","summary":[{"text":"s"}],"content":[{"text":"t"},{"text":"u"}]},)";
constexpr char kSaid[] = R"({"role":"assistant","content":"a"},)";
constexpr char kCalled[] = R"({"type":"function_call","call_id":"1","name":"f","arguments":"{}"},)";
constexpr char kGot[] = R"({"type":"function_call_output","call_id":"1","output":"r"},)";
constexpr char kAsked[] = R"({"role":"user","content":"q"})";

TEST(ResponsesRequest, ATurnIsOneMessage) {
  const auto told = [](std::string items) { return Told("[" + items + kAsked + "]"); };
  EXPECT_EQ(told(std::string(kThought) + kSaid + kCalled + kCalled + kGot),
            "assistant(a thought t\nu called f called f)tool(r)user(q)");
  EXPECT_EQ(told(std::string(kSaid) + kSaid), "assistant(a)assistant(a)user(q)");
  EXPECT_EQ(told(std::string(kCalled) + kSaid), "assistant( called f)assistant(a)user(q)");
  EXPECT_EQ(told(std::string(kThought) + kSaid + kThought + kSaid),
            "assistant(a thought t\nu)assistant(a thought t\nu)user(q)");
  EXPECT_EQ(told(R"({"type":"reasoning","summary":[{"text":"s"}]},)" + std::string(kSaid)),
            "assistant(a thought s)user(q)");
  EXPECT_EQ(told(R"({"type":"reasoning","encrypted_content":"x"},)"), "user(q)");
}

TEST(ResponsesRequest, TextIsTheUsers) {
  EXPECT_EQ(Told("\"q\""), "user(q)");
  const auto request = Parse(R"({"input":"q","instructions":"be brief","max_output_tokens":0})");
  EXPECT_EQ(request->chat.messages[0].role, "system");
  EXPECT_EQ(request->chat.options.max_tokens, 0);
  EXPECT_EQ(request->echo.at("instructions").as_string(), "be brief");
  EXPECT_EQ(request->echo.at("text"), (json::object{{"format", {{"type", "text"}}}}));
}

TEST(ResponsesRequest, AThoughtAloneIsNoInput) {
  EXPECT_THAT(Told(R"([{"type":"reasoning","summary":[]}])"), testing::HasSubstr("input must be"));
}

TEST(ResponsesStream, AnErrorAfterTheFirstEventFailsTheResponse) {
  FakeEngine engine([](const Request&) {
    return std::vector<TokenEvent>{FakeEngine::Admitted(3), FakeEngine::Token('a'),
                                   FakeEngine::Failed(ErrorCode::kComputeFault, "broken")};
  });
  const auto service = MakeFakeService(&engine);
  auto reply = service->Responses(R"({"input":"q","stream":true})", {"id", ""});
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  std::string out;
  while (!(*reply)->Advance(&out)) {
  }
  const size_t last = out.rfind("event: ");
  EXPECT_EQ(out.substr(last, 24), "event: response.failed\nd");
  const auto event = ParseJson(out.substr(out.find("data: ", last) + 6));
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->at("response").at("status").as_string(), "failed");
  EXPECT_EQ(event->at("response").at("error").at("message").as_string(), "broken");
  EXPECT_EQ(event->at("response").at("output").at(0).at("content").at(0).at("text").as_string(),
            "a");
}

}  // namespace
}  // namespace lb::api

// Ollama's API: what its fields mean, lines of a stream, errors after the first line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/json_reader.h"
#include "api/ollama/ollama_request.h"
#include "tests/api/fakes.h"

namespace lb::api {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

constexpr char kMessages[] = "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]";

Result<OllamaRequest> ParseChat(const std::string& fields) {
  const auto object = ParseJsonObject("{" + fields + "}");
  return ParseOllamaChat(object.value(), {}, ByteTokenizer());
}

std::vector<json::value> Lines(Generation& generation) {
  std::string out;
  while (!generation.Advance(&out)) {
  }
  std::vector<json::value> lines;
  for (size_t at = 0; at < out.size();) {
    const size_t end = out.find('\n', at);
    EXPECT_NE(end, std::string::npos) << "the last line is not ended";
    auto value = ParseJson(out.substr(at, end - at));
    EXPECT_TRUE(value.has_value()) << out;
    lines.push_back(std::move(value).value());
    at = end + 1;
  }
  return lines;
}

TEST(OllamaRequest, OptionsMeanWhatTheyMeanThere) {
  const auto request =
      ParseChat(std::string(kMessages) +
                ",\"options\":{\"num_predict\":7,\"temperature\":0.5,\"stop\":[\"a\"],\"seed\":3,"
                "\"num_ctx\":2048,\"num_gpu\":99,\"n\":5,\"stream\":false},\"model\":\"m\"");
  ASSERT_TRUE(request.has_value()) << request.error().message;
  const GenerationOptions& options = request->chat.options;
  EXPECT_EQ(options.max_tokens, 7);
  EXPECT_FLOAT_EQ(options.sampling.temperature, 0.5f);
  EXPECT_EQ(options.sampling.seed, 3u);
  EXPECT_EQ(options.stop, std::vector<std::string>{"a"});
  EXPECT_EQ(options.n, 1) << "of OpenAI's, not of Ollama's";
  EXPECT_TRUE(options.stream) << "unless the body itself says otherwise";
  EXPECT_EQ(options.model, "m");
  for (const char* all : {"0", "-1", "-2"}) {
    const auto endless =
        ParseChat(std::string(kMessages) + ",\"options\":{\"num_predict\":" + all + "}");
    EXPECT_EQ(endless->chat.options.max_tokens, -1) << all;
  }
}

TEST(OllamaRequest, DurationsAreGos) {
  for (const char* zero : {"0", "\"0\"", "\"0s\"", "\"0h0m\"", "-0.0"}) {
    EXPECT_TRUE(ParseChat(std::string("\"keep_alive\":") + zero)->unload) << zero;
  }
  for (const char* some : {"5", "-1", "\"5m\"", "\"-1s\"", "\"1h30m\"", "\"1.5h\"", "\"3µs\""}) {
    const auto request = ParseChat(std::string("\"keep_alive\":") + some);
    ASSERT_TRUE(request.has_value()) << some;
    EXPECT_TRUE(request->empty && !request->unload) << some;
  }
  for (const char* bad :
       {"\"\"", "\"5\"", "\"m\"", "\"5m3\"", "\"--5m\"", "\"1e3s\"", "true", "{}"}) {
    const auto request = ParseChat(std::string("\"keep_alive\":") + bad);
    ASSERT_FALSE(request.has_value()) << bad;
    EXPECT_EQ(request.error().param, "keep_alive");
  }
}

TEST(OllamaRequest, ThoughtsGoToTheTemplate) {
  const auto args = [](const std::string& think) {
    return ParseChat(std::string(kMessages) + think)->chat.template_args;
  };
  EXPECT_TRUE(args("").at("enable_thinking").as_bool());
  EXPECT_TRUE(args(",\"think\":true").at("enable_thinking").as_bool());
  EXPECT_FALSE(args(",\"think\":false").at("enable_thinking").as_bool());
  EXPECT_EQ(args(",\"think\":\"high\"").at("reasoning_effort").as_string(), "high");
}

TEST(OllamaStream, AnErrorAfterTheFirstLineIsALine) {
  FakeEngine engine([](const Request&) {
    return std::vector<TokenEvent>{FakeEngine::Admitted(3), FakeEngine::Token('a'),
                                   FakeEngine::Failed(ErrorCode::kComputeFault, "broken")};
  });
  const auto service = MakeFakeService(&engine);
  auto chat = service->OllamaChat("{" + std::string(kMessages) + "}", {"id", ""});
  ASSERT_TRUE(chat.has_value());
  EXPECT_EQ((*chat)->content_type(), "application/x-ndjson");
  // What fills a silence leaves the next line what it is.
  EXPECT_EQ(ParseJson(std::string((*chat)->filler()) + "{}").value(), json::object());
  const auto lines = Lines(**chat);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].at("message").at("content").as_string(), "a");
  EXPECT_EQ(lines[1], (json::object{{"error", "broken"}}));
}

TEST(OllamaStream, WithoutATemplateThePromptIsThePrompt) {
  FakeEngine engine([](const Request& request) { return FakeEngine::Saying(request, "yes"); });
  const auto service = MakeFakeService(&engine, {}, "{{");
  auto reply = service->OllamaGenerate("{\"prompt\":\"hi\"}", {"id", ""});
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_EQ(engine.requests.back().prompt, (std::vector<TokenId>{'h', 'i'}));
  reply = service->OllamaGenerate("{\"prompt\":\"hi\",\"system\":\"s\"}", {"id", ""});
  ASSERT_FALSE(reply.has_value());
  EXPECT_THAT(reply.error().message, HasSubstr("no chat template"));
}

}  // namespace
}  // namespace lb::api

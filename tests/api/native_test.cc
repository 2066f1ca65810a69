// llama.cpp's own endpoints: the shape of /completion plain and streamed, prompts in all forms,
// /infill, probabilities, the chosen fields, and what surrounds them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "api/json_reader.h"
#include "tests/api/fakes.h"

namespace lb::api {
namespace {

namespace json = boost::json;

std::vector<TokenEvent> Scored(const Request& request, std::string_view text) {
  std::vector<TokenEvent> events = FakeEngine::Saying(request, text, FinishReason::kLength);
  for (TokenEvent& event : events) {
    event.logprob = -0.5f;
    for (int i = 0; i < request.sampling.num_logprobs; ++i) event.top.push_back({'A' + i, -1.0f});
  }
  return events;
}

class Native : public testing::Test {
 protected:
  Native() : engine_([this](const Request& r) { return Scored(r, text_); }) {
    service_ = MakeFakeService(&engine_);
  }
  std::string Answer(const std::string& fields, bool infill = false) {
    auto generation = infill ? service_->Infill("{" + fields + "}", {"id", ""})
                             : service_->NativeCompletion("{" + fields + "}", {"id", ""});
    if (!generation.has_value()) return "400 " + generation.error().param;
    std::string out;
    EXPECT_TRUE((*generation)->Advance(&out));
    return (*generation)->streamed() ? out : (*generation)->Body();
  }
  json::value Reply(const std::string& fields) { return ParseJson(Answer(fields)).value(); }

  std::string text_ = "one\ntwo";
  FakeEngine engine_;
  std::shared_ptr<Service> service_;
};

TEST_F(Native, Shape) {
  const json::value reply = Reply("\"prompt\":\"hi\",\"n_predict\":7,\"return_tokens\":true");
  EXPECT_EQ(reply.at("content").as_string(), "one\ntwo");
  EXPECT_EQ(reply.at("tokens").as_array().size(), 7u);
  EXPECT_EQ(reply.at("stop").as_bool(), true);
  EXPECT_EQ(reply.at("stop_type").as_string(), "limit");
  EXPECT_EQ(reply.at("stopping_word").as_string(), "");
  EXPECT_EQ(reply.at("truncated").as_bool(), false);
  EXPECT_EQ(reply.at("has_new_line").as_bool(), true);
  EXPECT_EQ(reply.at("prompt").as_string(), "hi");
  EXPECT_EQ(reply.at("model").as_string(), "fake");
  EXPECT_EQ(reply.at("tokens_evaluated").as_int64(), 2);
  EXPECT_EQ(reply.at("tokens_predicted").as_int64(), 7);
  EXPECT_EQ(reply.at("tokens_cached").as_int64(), 0);
  EXPECT_EQ(reply.at("generation_settings").at("n_predict").as_int64(), 7);
  EXPECT_EQ(reply.at("timings").at("prompt_n").as_int64(), 2);
  EXPECT_EQ(reply.at("timings").at("predicted_n").as_int64(), 7);
  EXPECT_FALSE(reply.as_object().contains("completion_probabilities"));
  EXPECT_TRUE(Reply("\"prompt\":\"hi\"").at("tokens").as_array().empty());
  // The context ended it, not the client.
  EXPECT_EQ(Reply("\"prompt\":\"hi\"").at("truncated").as_bool(), true);
  const json::value word = Reply("\"prompt\":\"hi\",\"stop\":[\"e\\nt\"]");
  EXPECT_EQ(word.at("content").as_string(), "on");
  EXPECT_EQ(word.at("stop_type").as_string(), "word");
  EXPECT_EQ(word.at("stopping_word").as_string(), "e\nt");
}

TEST_F(Native, Streamed) {
  const std::string out = Answer("\"prompt\":\"hi\",\"stream\":true,\"n_probs\":2");
  std::string content;
  std::vector<json::value> events;
  for (size_t at = 0; at < out.size();) {
    const size_t end = out.find("\n\n", at);
    events.push_back(ParseJson(out.substr(at + 6, end - at - 6)).value());  // no [DONE] here
    at = end + 2;
  }
  ASSERT_EQ(events.size(), 8u);
  for (const json::value& event : events) {
    content += event.at("content").as_string();
    EXPECT_EQ(event.at("stop").as_bool(), &event == &events.back());
    if (&event == &events.back()) break;
    EXPECT_EQ(event.at("tokens").as_array().size(), 1u);
    EXPECT_EQ(event.at("completion_probabilities").as_array().size(), 1u);
  }
  EXPECT_EQ(content, text_);
  EXPECT_TRUE(events.back().at("tokens").as_array().empty());
  EXPECT_TRUE(events.back().as_object().contains("generation_settings"));
}

TEST_F(Native, PromptsInAllForms) {
  EXPECT_EQ(Reply("\"prompt\":[104,105]").at("prompt").as_string(), "hi");
  EXPECT_EQ(Reply("\"prompt\":[104,\"i\",33]").at("prompt").as_string(), "hi!");
  EXPECT_EQ(Reply("\"prompt\":{\"prompt_string\":\"hi\"}").at("prompt").as_string(), "hi");
  EXPECT_EQ(Reply("\"prompt\":[\"hi\"]").at("prompt").as_string(), "hi");
  const json::value many =
      Reply("\"prompt\":[\"a\",[98],{\"prompt_string\":\"c\"},[100,\"!\"]],\"n\":2");
  ASSERT_EQ(many.as_array().size(), 8u);
  const char* prompts[] = {"a", "a", "b", "b", "c", "c", "d!", "d!"};
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(many.at(static_cast<size_t>(i)).at("index").as_int64(), i);
    EXPECT_EQ(many.at(static_cast<size_t>(i)).at("prompt").as_string(), prompts[i]);
  }
  EXPECT_EQ(Answer(""), "400 prompt");
  EXPECT_EQ(Answer("\"prompt\":[]"), "400 prompt");
  EXPECT_EQ(Answer("\"prompt\":{}"), "400 prompt.prompt_string");
  EXPECT_EQ(Answer("\"prompt\":[999]"), "400 prompt");
  EXPECT_EQ(Answer("\"prompt\":{\"prompt_string\":\"x\",\"multimodal_data\":[\"aGk=\"]}"),
            "400 prompt");
}

TEST_F(Native, Probabilities) {
  const json::value own = Reply("\"prompt\":\"hi\",\"n_probs\":3");
  ASSERT_EQ(own.at("completion_probabilities").as_array().size(), 7u);
  const json::value& token = own.at("completion_probabilities").at(0);
  EXPECT_EQ(token.at("id").as_int64(), 'o');
  EXPECT_EQ(token.at("token").as_string(), "o");
  EXPECT_EQ(json::serialize(token.at("bytes")), "[111]");
  EXPECT_EQ(token.at("logprob").as_double(), -0.5);
  EXPECT_EQ(token.at("top_logprobs").as_array().size(), 3u);
  const json::value drawn = Reply("\"prompt\":\"hi\",\"n_probs\":3,\"post_sampling_probs\":true");
  EXPECT_TRUE(engine_.requests.back().sampling.logprobs_after_sampling);
  EXPECT_NEAR(drawn.at("completion_probabilities").at(0).at("prob").as_double(), 0.6065, 1e-3);
  EXPECT_EQ(drawn.at("completion_probabilities").at(0).at("top_probs").as_array().size(), 3u);
  EXPECT_EQ(Answer("\"prompt\":\"hi\",\"n_probs\":-1"), "400 n_probs");
}

TEST_F(Native, ChosenFields) {
  EXPECT_EQ(Answer("\"prompt\":\"hi\",\"n_predict\":3,\"response_fields\":[\"content\","
                   "\"generation_settings/n_predict\",\"nothing\",\"content/deeper\"]"),
            "{\"content\":\"one\\ntwo\",\"generation_settings/n_predict\":3}");
}

TEST_F(Native, LogitBiasTakesWords) {
  for (const char* bias :
       {"[[\"ab\",-100],[99,1.5]]", "{\"ab\":-100,\"99\":1.5}", "[[\"ab\",false],[99,1.5]]"}) {
    Answer("\"prompt\":\"hi\",\"logit_bias\":" + std::string(bias));
    const auto& biases = engine_.requests.back().sampling.logit_bias;
    ASSERT_EQ(biases.size(), 3u) << bias;
    EXPECT_EQ(biases[0].first, 'a');
    EXPECT_EQ(biases[1].first, 'b');
    EXPECT_TRUE(std::isinf(biases[1].second));
    EXPECT_EQ(biases[2], std::pair(TokenId{99}, 1.5f));
  }
  const json::value reply = Reply("\"prompt\":\"hi\",\"ignore_eos\":true");
  const json::value& settings = reply.at("generation_settings");
  EXPECT_EQ(json::serialize(settings.at("logit_bias")), "[{\"token\":257,\"bias\":null}]");
}

TEST_F(Native, SlotFieldsAreTolerated) {
  EXPECT_EQ(Reply("\"prompt\":\"hi\",\"id_slot\":3,\"n_keep\":-1,\"n_discard\":2,\"min_keep\":1,"
                  "\"cache_prompt\":false,\"lora\":[]")
                .at("id_slot")
                .as_int64(),
            -1);
  EXPECT_FALSE(engine_.requests.back().cache_prompt);
}

TEST_F(Native, InfillNeedsAModelForIt) {
  EXPECT_EQ(Answer("\"input_prefix\":\"a\",\"input_suffix\":\"b\"", true), "400 ");
  EXPECT_EQ(Answer("\"input_suffix\":\"b\"", true), "400 input_prefix");
  EXPECT_EQ(Answer("\"input_prefix\":\"a\"", true), "400 input_suffix");
  for (const char* extra : {"{}", "{\"filename\":\"ok\"}", "{\"filename\":1,\"text\":\"x\"}",
                            "{\"filename\":\"x\",\"text\":1}", "5"}) {
    EXPECT_THAT(Answer("\"input_prefix\":\"a\",\"input_suffix\":\"b\",\"input_extra\":[" +
                           std::string(extra) + "]",
                       true),
                testing::StartsWith("400 input_extra[0]"));
  }
}

TEST_F(Native, TheTemplateIsShown) {
  const std::string body = "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
  EXPECT_EQ(service_->ApplyTemplate(body).value(),
            "{\"prompt\":\"<|im_start|>user\\nhi<|im_end|>\\n<|im_start|>assistant\\n\"}");
  EXPECT_EQ(service_->CountChatTokens(body).value(),
            "{\"object\":\"response.input_tokens\",\"input_tokens\":21}");
  EXPECT_EQ(service_->ApplyTemplate("{}").error().param, "messages");
  EXPECT_EQ(ParseJson(service_->Slots()).value().as_array().size(), 4u);
  const json::value props = ParseJson(service_->Props()).value();
  EXPECT_EQ(props.at("total_slots").as_int64(), 4);
  EXPECT_EQ(props.at("default_generation_settings").at("params").at("seed").as_int64(), -1);
}

}  // namespace
}  // namespace lb::api

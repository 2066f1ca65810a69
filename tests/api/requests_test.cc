// Request parsing: what every field accepts, and that whatever else comes is a 400 naming the
// field.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "api/chat_input.h"
#include "api/chat_request.h"
#include "api/completion_request.h"
#include "api/errors.h"
#include "tests/api/fakes.h"

namespace lb::api {
namespace {

const ByteTokenizer& Tok() {
  static const ByteTokenizer tokenizer;
  return tokenizer;
}

Result<ChatRequest> Chat(const std::string& more) {
  const std::string body = "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" +
                           (more.empty() ? "" : "," + more) + "}";
  auto object = ParseJsonObject(body);
  if (!object.has_value()) return object.error();
  return ParseChatRequest(*object, {}, Tok());
}

Result<CompletionRequest> Complete(const std::string& fields) {
  auto object = ParseJsonObject("{" + fields + "}");
  if (!object.has_value()) return object.error();
  return ParseCompletionRequest(*object, {}, Tok());
}

struct Case {
  const char* fields;
  const char* param;  // of the error; null: accepted
};

TEST(ChatRequest, TableOfFields) {
  const Case cases[] = {
      {"\"temperature\":0", nullptr},
      {"\"temperature\":-1", "temperature"},
      {"\"temperature\":1e308", "temperature"},
      {"\"temperature\":\"1\"", "temperature"},
      {"\"temperature\":null", nullptr},
      {"\"temperature\":true", "temperature"},
      {"\"temperature\":-0.0", nullptr},
      {"\"temperature\":1e6", nullptr},
      {"\"top_k\":0", nullptr},
      {"\"top_k\":-1", nullptr},
      {"\"top_k\":-2", "top_k"},
      {"\"top_k\":2147483647", nullptr},
      {"\"top_k\":2147483648", "top_k"},
      {"\"top_k\":9223372036854775808", "top_k"},
      {"\"top_k\":0.5", "top_k"},
      {"\"top_k\":5.0", nullptr},
      {"\"top_k\":[]", "top_k"},
      {"\"top_k\":1e308", "top_k"},
      {"\"top_p\":0", nullptr},
      {"\"top_p\":1", nullptr},
      {"\"top_p\":1.01", "top_p"},
      {"\"top_p\":-0.1", "top_p"},
      {"\"min_p\":2", "min_p"},
      {"\"typical_p\":{}", "typical_p"},
      {"\"repeat_penalty\":0", "repeat_penalty"},
      {"\"repeat_penalty\":1.1", nullptr},
      {"\"repeat_last_n\":-1", nullptr},
      {"\"repeat_last_n\":-2", "repeat_last_n"},
      {"\"presence_penalty\":2", nullptr},
      {"\"presence_penalty\":1e9", "presence_penalty"},
      {"\"frequency_penalty\":\"x\"", "frequency_penalty"},
      {"\"dry_multiplier\":-1", "dry_multiplier"},
      {"\"dry_multiplier\":0.8", nullptr},
      {"\"dry_sequence_breakers\":[1]", "dry_sequence_breakers[0]"},
      {"\"mirostat\":3", "mirostat"},
      {"\"mirostat\":2", nullptr},
      {"\"n\":1", nullptr},
      {"\"n\":0", "n"},
      {"\"n\":129", "n"},
      {"\"n\":\"2\"", "n"},
      {"\"seed\":-1", nullptr},
      {"\"seed\":18446744073709551615", nullptr},
      {"\"seed\":0.5", "seed"},
      {"\"seed\":\"5\"", "seed"},
      {"\"max_tokens\":0", nullptr},
      {"\"max_tokens\":-1", nullptr},
      {"\"max_tokens\":-2", "max_tokens"},
      {"\"max_tokens\":9223372036854775808", "max_tokens"},
      {"\"max_completion_tokens\":1.5", "max_completion_tokens"},
      {"\"stream\":1", "stream"},
      {"\"stream\":true", nullptr},
      {"\"stream_options\":{\"include_usage\":true}", nullptr},
      {"\"stream_options\":{\"include_usage\":1}", "stream_options.include_usage"},
      {"\"stream_options\":[]", "stream_options"},
      {"\"stream_options\":null", nullptr},
      {"\"stop\":\"x\"", nullptr},
      {"\"stop\":[\"x\",\"\"]", nullptr},
      {"\"stop\":[1]", "stop[0]"},
      {"\"stop\":5", "stop"},
      {"\"stop\":null", nullptr},
      {"\"logprobs\":true", nullptr},
      {"\"logprobs\":1", "logprobs"},
      {"\"logprobs\":true,\"top_logprobs\":20", nullptr},
      {"\"logprobs\":true,\"top_logprobs\":21", "top_logprobs"},
      {"\"top_logprobs\":2", "top_logprobs"},
      {"\"logit_bias\":{\"5\":-100}", nullptr},
      {"\"logit_bias\":{\"5\":false}", nullptr},
      {"\"logit_bias\":{\"5\":true}", "logit_bias.5"},
      {"\"logit_bias\":{\"5\":101}", "logit_bias.5"},
      {"\"logit_bias\":{\"259\":1}", "logit_bias"},
      {"\"logit_bias\":{\"-1\":1}", "logit_bias"},
      {"\"logit_bias\":{\"x\":1}", "logit_bias"},
      {"\"logit_bias\":{\"x\\n\\u007f\":2000}", "logit_bias.x\\n\\x7f"},
      {"\"logit_bias\":[[5,1]]", nullptr},
      {"\"logit_bias\":[[5]]", "logit_bias[0]"},
      {"\"logit_bias\":7", "logit_bias"},
      {"\"response_format\":{\"type\":\"text\"}", nullptr},
      {"\"response_format\":{\"type\":\"json_object\"}", nullptr},
      {"\"response_format\":{\"type\":7}", "response_format.type"},
      {"\"grammar\":\"root ::= \\\"a\\\"\"", nullptr},
      {"\"grammar\":7", "grammar"},
      {"\"json_schema\":{\"not\":{}}", "json_schema"},
      {"\"grammar\":\"root ::= \\\"a\\\"\",\"guided_regex\":\"b\"", "guided_regex"},
      {"\"grammar\":\"\"", nullptr},
      {"\"samplers\":[\"top_k\",\"temperature\"]", nullptr},
      {"\"samplers\":\"top_k;min_p\"", nullptr},
      {"\"samplers\":[\"nope\"]", "samplers"},
      {"\"samplers\":[\"a\\n\"]", "samplers"},
      {"\"samplers\":3", "samplers"},
      {"\"tools\":[]", nullptr},
      {"\"tools\":{}", "tools"},
      {"\"tools\":[1]", "tools[0]"},
      {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", nullptr},
      {"\"tools\":[{\"type\":\"function\"}]", "tools[0].function"},
      {"\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"required\"", nullptr},
      {"\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"none\"", nullptr},
      {"\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"auto\"", nullptr},
      {"\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"any\"", "tool_choice"},
      {"\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":7", "tool_choice"},
      {"\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"x\"}",
       "tool_choice.type"},
      {"\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"function\":{\"name\":\"g\"}"
       "}",
       "tool_choice"},
      {"\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"function\":{}}",
       "tool_choice.function"},
      {"\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"allowed_tools\","
       "\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"function\":{\"name\":\"f\"}}]}}",
       nullptr},
      {"\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"allowed_tools\","
       "\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"name\":\"g\"}]}}",
       "tool_choice.allowed_tools.tools[0]"},
      {"\"tool_choice\":\"required\"", "tool_choice"},
      {"\"tools\":[{\"function\":{\"name\":\"f\"}},{\"function\":{\"name\":\"f\"}}]",
       "tools[1].function.name"},
      {"\"tools\":[{\"function\":{\"name\":\"a b\"}}]", "tools[0].function.name"},
      {"\"tools\":[{\"function\":{\"name\":\"\"}}]", "tools[0].function.name"},
      {"\"tools\":[{\"type\":\"custom\",\"function\":{\"name\":\"f\"}}]", "tools[0].type"},
      {"\"tools\":[{\"function\":{\"name\":\"f\",\"parameters\":[]}}]",
       "tools[0].function.parameters"},
      {"\"tools\":[{\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"list\"}}}]",
       "tools[0].function.parameters.type"},
      {"\"tools\":[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":1}}}}]",
       "tools[0].function.parameters.properties.a"},
      {"\"tools\":[{\"function\":{\"name\":\"f\",\"parameters\":{\"required\":[1]}}}]",
       "tools[0].function.parameters.required"},
      {"\"tools\":[{\"function\":{\"name\":\"f\",\"strict\":1}}]", "tools[0].function.strict"},
      {"\"parallel_tool_calls\":1", "parallel_tool_calls"},
      {"\"parse_tool_calls\":\"no\"", "parse_tool_calls"},
      {"\"chat_template_kwargs\":{\"enable_thinking\":false}", nullptr},
      {"\"chat_template_kwargs\":1", "chat_template_kwargs"},
      {"\"reasoning_effort\":\"high\"", nullptr},
      {"\"reasoning_effort\":3", "reasoning_effort"},
      {"\"reasoning\":{\"effort\":\"low\"}", nullptr},
      {"\"reasoning\":\"x\"", "reasoning"},
      {"\"thinking_budget\":100", nullptr},
      {"\"thinking_budget\":-2", "thinking_budget"},
      {"\"reasoning_budget\":0.5", "reasoning_budget"},
      {"\"enable_thinking\":1", "enable_thinking"},
      {"\"reasoning_format\":\"deepseek\"", nullptr},
      {"\"reasoning_format\":7", "reasoning_format"},
      {"\"lora\":[]", nullptr},
      {"\"lora\":[{\"id\":0,\"scale\":1}]", "lora[0].id"},
      {"\"logit_bias\":[[\"word\",1]]", nullptr},
      {"\"logit_bias\":[[\"word\",\"x\"]]", "logit_bias[0]"},
      {"\"timings_per_token\":true", nullptr},
      {"\"timings_per_token\":1", "timings_per_token"},
      {"\"ignore_eos\":true", nullptr},
      {"\"ignore_eos\":\"y\"", "ignore_eos"},
      {"\"cache_prompt\":false", nullptr},
      {"\"model\":5", "model"},
      {"\"user\":\"u\",\"metadata\":{},\"store\":true,\"nonsense\":[[[]]]", nullptr},
      {"\"messages\":[]", "messages"},
      {"\"messages\":\"hi\"", "messages"},
      {"\"messages\":[7]", "messages[0]"},
      {"\"messages\":[{\"content\":\"x\"}]", "messages[0].role"},
      {"\"messages\":[{\"role\":\"admin\",\"content\":\"x\"}]", "messages[0].role"},
      {"\"messages\":[{\"role\":5,\"content\":\"x\"}]", "messages[0].role"},
      {"\"messages\":[{\"role\":\"user\",\"content\":5}]", "messages[0].content"},
      {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]",
       "messages[0].content[0].type"},
      {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]",
       "messages[0].content[0].text"},
      {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"poem\"}]}]",
       "messages[0].content[0].type"},
      {"\"messages\":[{\"role\":\"user\",\"content\":[]}]", nullptr},
      {"\"messages\":[{\"role\":\"user\",\"content\":[[]]}]", "messages[0].content[0]"},
      {"\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]",
       "messages[0].tool_calls[0].function"},
      {"\"messages\":[{\"role\":\"assistant\",\"content\":null}]", nullptr},
  };
  for (const Case& c : cases) {
    const auto result = Chat(c.fields);
    if (c.param == nullptr) {
      EXPECT_TRUE(result.has_value()) << c.fields << ": " << result.error().message;
      continue;
    }
    ASSERT_FALSE(result.has_value()) << c.fields;
    EXPECT_EQ(result.error().param, c.param) << c.fields;
    EXPECT_EQ(View(result.error().code).status, 400) << c.fields;
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos) << c.fields;
    // The field is named in words, too.
    EXPECT_FALSE(result.error().message.empty());
  }
}

TEST(ChatRequest, MessagesNameTheValueAndTheRange) {
  const auto result = Chat("\"top_p\":1.5");
  EXPECT_EQ(result.error().message, "top_p must be a number from 0 to 1, not 1.5");
}

TEST(ChatRequest, NoDryBreakersAreNotTheUsualOnes) {
  const auto object = ParseJsonObject(
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"dry_multiplier\":1}");
  GenerationDefaults defaults;
  EXPECT_EQ(ParseChatRequest(*object, defaults, Tok())->options.sampling.dry_breakers.size(), 4u);
  defaults.sampling.dry_breakers_given = true;
  EXPECT_TRUE(ParseChatRequest(*object, defaults, Tok())->options.sampling.dry_breakers.empty());
}

TEST(ChatRequest, TemplatesAreToldDayAndFunctionsUnlessTheRequestDoes) {
  const auto extra = [](const std::string& fields, std::string_view name) {
    const auto input = MakeChatInput(*Chat(fields), {}, 1'700'000'000);
    const text::jinja::Value* value = input.extra.dict().Find(name);
    return value == nullptr ? std::string() : std::string(value->view());
  };
  EXPECT_THAT(extra("", "date_string"), testing::MatchesRegex("1[45] Nov 2023"));
  EXPECT_THAT(extra("", "datetime"), testing::MatchesRegex("Nov 1[45] 2023"));
  EXPECT_EQ(extra("\"chat_template_kwargs\":{\"date_string\":\"today\"}", "date_string"), "today");
  EXPECT_EQ(extra("", "functions"), "");
  EXPECT_EQ(extra("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", "functions"),
            "[{\"name\":\"f\"}]");
}

TEST(ChatRequest, ValuesArriveWhereTheyBelong) {
  const auto r = Chat(
      "\"max_tokens\":7,\"max_completion_tokens\":9,\"top_k\":-1,\"seed\":5,"
      "\"temperature\":0.25,\"n\":3,\"stop\":[\"a\",\"b\"],\"stream\":true,"
      "\"stream_options\":{\"include_usage\":true},\"logit_bias\":{\"7\":-100,\"8\":3},"
      "\"logprobs\":true,\"top_logprobs\":4,\"model\":\"m\",\"cache_prompt\":false,"
      "\"samplers\":\"top_k;temperature\",\"dry_multiplier\":1,"
      "\"dry_sequence_breakers\":[\"ab\"]");
  ASSERT_TRUE(r.has_value()) << r.error().message;
  const GenerationOptions& o = r->options;
  EXPECT_EQ(o.max_tokens, 9);
  EXPECT_EQ(o.sampling.top_k, 0);
  EXPECT_EQ(o.sampling.seed, 5u);
  EXPECT_EQ(o.sampling.temperature, 0.25f);
  EXPECT_EQ(o.n, 3);
  EXPECT_EQ(o.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(o.stream && o.with_logprobs && !o.cache_prompt);
  EXPECT_EQ(o.include_usage, true);
  EXPECT_EQ(o.sampling.num_logprobs, 4);
  ASSERT_EQ(o.sampling.logit_bias.size(), 2u);
  EXPECT_TRUE(std::isinf(o.sampling.logit_bias[0].second));
  EXPECT_EQ(o.sampling.logit_bias[1].second, 3.0f);
  EXPECT_EQ(o.sampling.stages, (std::vector{SamplerStage::kTopK, SamplerStage::kTemperature}));
  EXPECT_EQ(o.sampling.dry_breakers, (std::vector<std::vector<TokenId>>{{'a', 'b'}}));
  EXPECT_TRUE(o.sampling.dry_breakers_given);
}

TEST(ChatRequest, RandomSeedsDiffer) {
  EXPECT_NE(Chat("")->options.sampling.seed, Chat("\"seed\":-1")->options.sampling.seed);
}

TEST(ChatRequest, ContentShapesMeanTheSame) {
  const auto content = [](const char* json) {
    const auto r = Chat("\"messages\":[{\"role\":\"user\",\"content\":" + std::string(json) + "}]");
    return r.has_value() ? r->messages[0].content : "error: " + r.error().message;
  };
  EXPECT_EQ(content("\"one\""), "one");
  EXPECT_EQ(content("[{\"type\":\"text\",\"text\":\"one\"},{\"type\":\"text\",\"text\":\"two\"}]"),
            "one\ntwo");
  EXPECT_EQ(content("null"), "");
  EXPECT_EQ(content("[\"a\",\"b\"]"), "a\nb");
}

TEST(CompletionRequest, Prompts) {
  const auto shape = [](const char* prompt) {
    const auto r = Complete("\"prompt\":" + std::string(prompt));
    if (!r.has_value()) return "error " + r.error().param;
    std::string text;
    for (const MixedPrompt& mixed : r->prompt.prompts) {
      for (const PromptPart& part : mixed) {
        text += part.index() == 0 ? std::get<0>(part)
                                  : std::to_string(std::get<1>(part).size()) + "ids";
        text += ',';
      }
      text += ';';
    }
    return text;
  };
  EXPECT_EQ(shape("\"a\""), "a,;");
  EXPECT_EQ(shape("[\"a\",\"b\"]"), "a,;b,;");
  EXPECT_EQ(shape("[1,2,3]"), "3ids,;");
  EXPECT_EQ(shape("[[1,2],[3]]"), "2ids,;1ids,;");
  EXPECT_EQ(shape("[1,\"a\",2,3]"), "1ids,a,2ids,;");
  EXPECT_EQ(shape("[[1,\"a\"],\"b\"]"), "1ids,a,;b,;");
  for (const char* bad : {"null", "[]", "5", "{}", "[259]", "[-1]", "[1.5]", "[[]]", "[[[1]]]",
                          "[null]", "[1,null]"}) {
    EXPECT_EQ(shape(bad).substr(0, 12), "error prompt") << bad;
  }
}

TEST(CompletionRequest, Fields) {
  EXPECT_EQ(Complete("\"prompt\":\"a\",\"logprobs\":5")->options.sampling.num_logprobs, 5);
  EXPECT_FALSE(Complete("\"prompt\":\"a\",\"logprobs\":6").has_value());
  EXPECT_FALSE(Complete("\"prompt\":\"a\",\"logprobs\":false")->options.with_logprobs);
  EXPECT_EQ(Complete("\"prompt\":\"a\",\"echo\":true,\"logprobs\":0").error().param, "echo");
  EXPECT_EQ(Complete("\"prompt\":[\"a\",\"b\"],\"n\":65").error().param, "n");
  EXPECT_EQ(Complete("\"prompt\":\"a\",\"best_of\":3,\"n\":2")->best_of, 3);
  EXPECT_EQ(Complete("\"prompt\":\"a\",\"best_of\":1,\"n\":2")->best_of, 2);
  for (const char* bad :
       {"\"best_of\":2,\"n\":3", "\"best_of\":2,\"stream\":true", "\"best_of\":129"}) {
    EXPECT_EQ(Complete("\"prompt\":\"a\"," + std::string(bad)).error().param, "best_of") << bad;
  }
  EXPECT_EQ(Complete("").error().param, "prompt");
}

}  // namespace
}  // namespace lb::api

// Replies: the shape of streams, the same bytes streamed and plain, usage, stop strings, logprobs,
// n choices, errors before and after the first event.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <map>

#include "api/json_reader.h"
#include "tests/api/fakes.h"

namespace lb::api {
namespace {

namespace json = boost::json;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kMessages[] = "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]";

FakeEngine::Script Says(std::string text, FinishReason reason = FinishReason::kStop) {
  return [=](const Request& request) { return FakeEngine::Saying(request, text, reason); };
}

std::string RunToEnd(Generation& generation) {
  std::string out;
  for (int i = 0; i < 1000; ++i) {
    if (generation.Advance(&out)) return out;
  }
  ADD_FAILURE() << "never done";
  return out;
}

// The JSON of each event; checks the framing and that [DONE] is the last.
std::vector<json::value> Events(const std::string& out) {
  std::vector<json::value> events;
  size_t at = 0;
  bool done = false;
  while (at < out.size()) {
    const size_t end = out.find("\n\n", at);
    EXPECT_NE(end, std::string::npos);
    const std::string event = out.substr(at, end - at);
    EXPECT_THAT(event, StartsWith("data: "));
    EXPECT_EQ(event.find('\n'), std::string::npos);
    EXPECT_FALSE(done);
    if (event == "data: [DONE]") {
      done = true;
    } else {
      auto value = ParseJson(event.substr(6));
      EXPECT_TRUE(value.has_value()) << event;
      if (value.has_value()) events.push_back(std::move(value).value());
    }
    at = end + 2;
  }
  EXPECT_TRUE(done);
  return events;
}

struct Whole {
  std::map<int64_t, std::string> text, reason;
};

Whole Join(const std::vector<json::value>& events, bool chat) {
  Whole whole;
  for (const json::value& event : events) {
    for (const json::value& choice : event.at("choices").as_array()) {
      const int64_t index = choice.at("index").as_int64();
      if (chat) {
        const json::object& delta = choice.at("delta").as_object();
        whole.text[index];
        if (delta.contains("content") && delta.at("content").is_string()) {
          whole.text[index] += delta.at("content").as_string();
        }
      } else {
        whole.text[index] += choice.at("text").as_string();
      }
      if (choice.at("finish_reason").is_null()) continue;
      EXPECT_EQ(whole.reason.count(index), 0u) << "two finish reasons";
      whole.reason[index] = choice.at("finish_reason").as_string();
    }
  }
  return whole;
}

std::unique_ptr<Generation> Start(Service& service, bool chat, const std::string& fields) {
  const std::string body = "{" +
                           (chat ? std::string(kMessages) : std::string("\"prompt\":\"hi\"")) +
                           (fields.empty() ? "" : "," + fields) + "}";
  auto result = chat ? service.Chat(body, {"id", ""}) : service.Completion(body, {"id", ""});
  EXPECT_TRUE(result.has_value()) << result.error().message;
  return std::move(result).value();
}

json::value Plain(Service& service, bool chat, const std::string& fields) {
  const auto generation = Start(service, chat, fields);
  EXPECT_EQ(RunToEnd(*generation), "");
  EXPECT_FALSE(generation->error());
  return ParseJson(generation->Body()).value();
}

std::vector<json::value> Streamed(Service& service, bool chat, const std::string& fields) {
  const auto generation =
      Start(service, chat, "\"stream\":true" + (fields.empty() ? "" : "," + fields));
  return Events(RunToEnd(*generation));
}

TEST(Stream, ShapeOfAChat) {
  FakeEngine engine(Says("hello"));
  const auto service = MakeFakeService(&engine);
  for (const char* options : {"", "\"stream_options\":{}", "\"stream_options\":null",
                              "\"stream_options\":{\"include_usage\":false}"}) {
    const auto events = Streamed(*service, true, options);
    ASSERT_GE(events.size(), 3u);
    const json::object& first = events[0].at("choices").at(0).as_object();
    EXPECT_EQ(first.at("delta").at("role").as_string(), "assistant");
    for (const json::value& event : events) {
      EXPECT_EQ(event.at("id"), events[0].at("id"));
      EXPECT_EQ(event.at("created"), events[0].at("created"));
      EXPECT_EQ(event.at("object").as_string(), "chat.completion.chunk");
      EXPECT_EQ(event.at("model").as_string(), "fake");
      EXPECT_EQ(event.at("system_fingerprint").as_string(), "box-");
      EXPECT_EQ(event.at("choices").as_array().size(), 1u);
      // Unasked, usage comes as llama-box sent it: beside the finish_reason. Refused, never.
      const bool refused = std::string_view(options).find("false") != std::string_view::npos;
      EXPECT_EQ(event.as_object().contains("usage"), !refused && &event == &events.back());
      EXPECT_EQ(event.as_object().contains("timings"), &event == &events.back());
      EXPECT_TRUE(event.at("choices").at(0).as_object().contains("finish_reason"));
      if (&event != &events.back()) {
        EXPECT_TRUE(event.at("choices").at(0).at("finish_reason").is_null());
      }
    }
    const Whole whole = Join(events, true);
    EXPECT_EQ(whole.text.at(0), "hello");
    EXPECT_EQ(whole.reason.at(0), "stop");
  }
}

TEST(Stream, UsageWhenAskedFor) {
  FakeEngine engine(Says("hello"));
  const auto service = MakeFakeService(&engine);
  const auto events = Streamed(*service, true, "\"stream_options\":{\"include_usage\":true}");
  for (size_t i = 0; i + 1 < events.size(); ++i) EXPECT_TRUE(events[i].at("usage").is_null());
  EXPECT_TRUE(events.back().at("choices").as_array().empty());
  const json::value plain = Plain(*service, true, "");
  for (const char* key :
       {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"}) {
    EXPECT_EQ(events.back().at("usage").at(key), plain.at("usage").at(key)) << key;
  }
  EXPECT_EQ(plain.at("usage").at("completion_tokens").as_int64(), 5);
  const auto unasked = Streamed(*service, true, "\"n\":3");
  EXPECT_EQ(unasked.back().at("usage").at("completion_tokens").as_int64(), 15);
  EXPECT_EQ(std::count_if(unasked.begin(), unasked.end(),
                          [](const json::value& e) { return e.as_object().contains("usage"); }),
            1);
}

TEST(Stream, TimingsWithEveryTokenWhenAskedFor) {
  FakeEngine engine(Says("hello"));
  const auto service = MakeFakeService(&engine);
  const auto events = Streamed(
      *service, true, "\"timings_per_token\":true,\"stream_options\":{\"include_usage\":true}");
  ASSERT_EQ(events.size(), 8u);  // role, five letters, finish, usage
  EXPECT_FALSE(events[0].as_object().contains("timings"));
  for (size_t i = 1; i <= 5; ++i) {
    EXPECT_EQ(events[i].at("timings").at("predicted_n").as_int64(), static_cast<int64_t>(i));
  }
  EXPECT_EQ(events[7].at("timings").at("predicted_n").as_int64(), 5);
  EXPECT_EQ(Plain(*service, true, "").at("timings").at("prompt_n").as_int64(), 21);
}

TEST(Stream, ProgressOfThePromptWhenAskedFor) {
  FakeEngine engine([](const Request& request) {
    auto events = FakeEngine::Saying(request, "hello");
    events.front().usage.cached_tokens = events.back().usage.cached_tokens = 2;
    TokenEvent progress;
    progress.kind = TokenEvent::Kind::kProgress;
    progress.computed = 7;
    events.insert(events.begin() + 1, progress);
    return events;
  });
  const auto service = MakeFakeService(&engine);
  const auto events =
      Streamed(*service, true, "\"return_progress\":true,\"timings_per_token\":true");
  ASSERT_EQ(events.size(), 9u);  // role, two of progress, five letters, finish
  EXPECT_TRUE(engine.requests.back().report_progress);
  for (const auto& [event, processed] : {std::pair{events[1], 2}, std::pair{events[2], 7}}) {
    EXPECT_EQ(event.at("prompt_progress").at("total").as_int64(), 21);
    EXPECT_EQ(event.at("prompt_progress").at("cache").as_int64(), 2);
    EXPECT_EQ(event.at("prompt_progress").at("processed").as_int64(), processed);
    EXPECT_EQ(event.at("timings").at("prompt_n").as_int64(), processed - 2);
    EXPECT_EQ(event.at("timings").at("predicted_n").as_int64(), 0);
  }
  EXPECT_EQ(events[8].at("timings").at("prompt_n").as_int64(), 19);
  EXPECT_FALSE(Streamed(*service, true, "")[1].as_object().contains("prompt_progress"));
}

TEST(Replies, VerboseShowsThePrompt) {
  FakeEngine engine(Says("hello"));
  const auto service = MakeFakeService(&engine);
  EXPECT_FALSE(Plain(*service, true, "").as_object().contains("__verbose"));
  const json::value reply = Plain(*service, true, "\"verbose\":true,\"seed\":4");
  EXPECT_THAT(std::string(reply.at("__verbose").at("prompt").as_string()), HasSubstr("user\nhi"));
  EXPECT_EQ(reply.at("__verbose").at("generation_settings").at("seed").as_int64(), 4);
}

TEST(Replies, WhatOpenAiClientsSendBesideIsTolerated) {
  FakeEngine engine(Says("hello"));
  const auto service = MakeFakeService(&engine);
  Plain(*service, true,
        "\"user\":\"u\",\"metadata\":{\"a\":\"b\"},\"store\":true,\"service_tier\":\"auto\","
        "\"safety_identifier\":\"s\",\"prompt_cache_key\":\"k\",\"modalities\":[\"text\"],"
        "\"prediction\":null,\"parallel_tool_calls\":true,\"verbosity\":\"low\",\"tools\":[],"
        "\"response_format\":{\"type\":\"text\"},\"nobody_knows_this\":[1]");
  EXPECT_EQ(engine.submitted, 1);
}

TEST(Replies, StreamedAndPlainAreTheSameBytes) {
  const std::string text =
      "ab\xF0\x9F\x98\x80 beta \xE4\xBD\xA0 gamma\xC3";  // ends inside a character
  FakeEngine engine(Says(text, FinishReason::kLength));
  const auto service = MakeFakeService(&engine);
  for (const bool chat : {true, false}) {
    for (const char* fields : {"", "\"stop\":\"ta \"", "\"stop\":[\"\xE4\xBD\xA0\"]",
                               "\"stop\":\"gamma!\"", "\"n\":3", "\"stop\":\"\xF0\x9F\x98\x80\""}) {
      const json::value plain = Plain(*service, chat, fields);
      const Whole whole = Join(Streamed(*service, chat, fields), chat);
      const auto& choices = plain.at("choices").as_array();
      ASSERT_EQ(choices.size(), whole.text.size());
      for (size_t i = 0; i < choices.size(); ++i) {
        const auto& content = chat ? choices[i].at("message").at("content") : choices[i].at("text");
        EXPECT_EQ(content.as_string(), whole.text.at(static_cast<int64_t>(i)));
        EXPECT_EQ(choices[i].at("finish_reason").as_string(),
                  whole.reason.at(static_cast<int64_t>(i)));
      }
    }
  }
  const json::value plain = Plain(*service, true, "");
  EXPECT_THAT(std::string(plain.at("choices").at(0).at("message").at("content").as_string()),
              testing::EndsWith("gamma\xEF\xBF\xBD"));
}

TEST(Replies, StopStringsEndTheAnswer) {
  FakeEngine engine(Says("alpha beta gamma delta", FinishReason::kLength));
  const auto service = MakeFakeService(&engine);
  const json::value reply = Plain(*service, true, "\"stop\":[\"ta gam\"]");
  EXPECT_EQ(reply.at("choices").at(0).at("message").at("content").as_string(), "alpha be");
  EXPECT_EQ(reply.at("choices").at(0).at("finish_reason").as_string(), "stop");
  // Tokens that were taken: up to the one that completed the stop string.
  EXPECT_EQ(reply.at("usage").at("completion_tokens").as_int64(), 14);
  EXPECT_EQ(Plain(*service, true, "\"stop\":\"delta!\"")
                .at("choices")
                .at(0)
                .at("finish_reason")
                .as_string(),
            "length");
}

TEST(Replies, StopStringCancelsWhatStillRuns) {
  FakeEngine engine([](const Request& request) {
    return std::vector<TokenEvent>{FakeEngine::Admitted(1), FakeEngine::Token('a'),
                                   FakeEngine::Token('b'), FakeEngine::Token('c')};
  });
  const auto service = MakeFakeService(&engine);
  const auto generation = Start(*service, true, "\"stop\":\"b\"");
  std::string out;
  EXPECT_TRUE(generation->Advance(&out));
  EXPECT_EQ(engine.cancelled, 1);
  EXPECT_THAT(generation->Body(), HasSubstr("\"content\":\"a\""));
}

TEST(Replies, MaxTokensZeroAnswersNothing) {
  FakeEngine engine(Says("x", FinishReason::kLength));
  const auto service = MakeFakeService(&engine);
  const json::value reply = Plain(*service, true, "\"max_tokens\":0");
  EXPECT_EQ(engine.requests.at(0).max_tokens, 1);
  EXPECT_EQ(reply.at("choices").at(0).at("message").at("content").as_string(), "");
  EXPECT_EQ(reply.at("choices").at(0).at("finish_reason").as_string(), "length");
  EXPECT_EQ(reply.at("usage").at("completion_tokens").as_int64(), 0);
}

TEST(Replies, ChoicesAreRequestsWithNeighbouringSeeds) {
  FakeEngine engine(Says("x"));
  const auto service = MakeFakeService(&engine);
  const json::value reply = Plain(*service, true, "\"n\":5,\"seed\":10");
  ASSERT_EQ(engine.requests.size(), 5u);
  for (uint64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(engine.requests[i].sampling.seed, 10 + i);
    EXPECT_EQ(reply.at("choices").at(i).at("index").as_int64(), static_cast<int64_t>(i));
  }
  // One prompt, five answers.
  EXPECT_EQ(reply.at("usage").at("prompt_tokens").as_int64(),
            static_cast<int64_t>(engine.requests[0].prompt.size()));
  EXPECT_EQ(reply.at("usage").at("completion_tokens").as_int64(), 5);
}

TEST(Replies, PromptsTimesChoices) {
  FakeEngine engine([](const Request& request) {
    return FakeEngine::Saying(request, std::string(1, static_cast<char>(request.prompt.back())));
  });
  const auto service = MakeFakeService(&engine);
  auto generation =
      service->Completion("{\"prompt\":[\"a\",\"b\",\"c\"],\"n\":2,\"echo\":true}", {"id", ""});
  ASSERT_TRUE(generation.has_value());
  RunToEnd(**generation);
  const json::value reply = ParseJson((*generation)->Body()).value();
  const char* expected[] = {"aa", "aa", "bb", "bb", "cc", "cc"};
  ASSERT_EQ(reply.at("choices").as_array().size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(reply.at("choices").at(i).at("text").as_string(), expected[i]);
  }
  EXPECT_EQ(reply.at("usage").at("prompt_tokens").as_int64(), 3);
}

std::vector<TokenEvent> Scored(const Request& request, std::string_view text) {
  std::vector<TokenEvent> events = FakeEngine::Saying(request, text, FinishReason::kLength);
  for (TokenEvent& event : events) {
    if (event.kind != TokenEvent::Kind::kToken) continue;
    event.logprob = -0.5f;
    for (int i = 0; i < request.sampling.num_logprobs; ++i) {
      event.top.push_back({i == 0 ? event.token : 'A' + i, -0.5f - static_cast<float>(i)});
    }
  }
  return events;
}

TEST(Replies, BestOfShowsTheMostProbable) {
  // Answer i of a prompt says i, with a log probability that depends on it.
  int count = 0;
  FakeEngine engine([&](const Request& request) {
    const int i = count++ % 4;
    auto events = FakeEngine::Saying(request, std::to_string(i) + "!");
    for (TokenEvent& event : events) event.logprob = i == 2 ? -0.1f : i == 1 ? -0.2f : -1.0f;
    return events;
  });
  const auto service = MakeFakeService(&engine);
  auto generation = service->Completion(
      "{\"prompt\":[\"a\",\"b\"],\"n\":2,\"best_of\":4,\"echo\":true}", {"id", ""});
  ASSERT_TRUE(generation.has_value()) << generation.error().message;
  RunToEnd(**generation);
  const json::value reply = ParseJson((*generation)->Body()).value();
  const char* expected[] = {"a2!", "a1!", "b2!", "b1!"};
  ASSERT_EQ(reply.at("choices").as_array().size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(reply.at("choices").at(i).at("text").as_string(), expected[i]);
    EXPECT_EQ(reply.at("choices").at(i).at("index").as_int64(), static_cast<int64_t>(i));
    EXPECT_TRUE(reply.at("choices").at(i).at("logprobs").is_null());
  }
  EXPECT_EQ(engine.requests.size(), 8u);
  EXPECT_EQ(reply.at("usage").at("prompt_tokens").as_int64(), 2);
  EXPECT_EQ(reply.at("usage").at("completion_tokens").as_int64(), 16);
}

TEST(Logprobs, ChatShape) {
  FakeEngine engine([](const Request& r) { return Scored(r, "a\xC3\xA9z"); });
  const auto service = MakeFakeService(&engine);
  const json::value reply = Plain(*service, true, "\"logprobs\":true,\"top_logprobs\":2");
  const json::array& content = reply.at("choices").at(0).at("logprobs").at("content").as_array();
  ASSERT_EQ(content.size(), 4u);
  std::string bytes;
  for (const json::value& token : content) {
    EXPECT_EQ(token.at("logprob").as_double(), -0.5);
    EXPECT_EQ(token.at("top_logprobs").as_array().size(), 2u);
    for (const json::value& b : token.at("bytes").as_array()) {
      bytes += static_cast<char>(b.as_int64());
    }
  }
  EXPECT_EQ(bytes, "a\xC3\xA9z");
  EXPECT_EQ(content[0].at("token").as_string(), "a");
  const json::value bare = Plain(*service, true, "\"logprobs\":true");
  EXPECT_TRUE(bare.at("choices")
                  .at(0)
                  .at("logprobs")
                  .at("content")
                  .at(0)
                  .at("top_logprobs")
                  .as_array()
                  .empty());
  EXPECT_TRUE(Plain(*service, true, "").at("choices").at(0).at("logprobs").is_null());
}

TEST(Logprobs, CompletionShape) {
  FakeEngine engine([](const Request& r) { return Scored(r, "a\xC3\xA9z"); });
  const auto service = MakeFakeService(&engine);
  const json::value reply = Plain(*service, false, "\"logprobs\":2");
  const json::object& logprobs = reply.at("choices").at(0).at("logprobs").as_object();
  EXPECT_EQ(json::serialize(logprobs.at("tokens")),
            "[\"a\",\"bytes:\\\\xc3\",\"bytes:\\\\xa9\",\"z\"]");
  EXPECT_EQ(json::serialize(logprobs.at("text_offset")), "[0,1,1,2]");
  EXPECT_EQ(logprobs.at("token_logprobs").as_array().size(), 4u);
  EXPECT_EQ(logprobs.at("top_logprobs").at(0).as_object().size(), 2u);
  const json::value zero = Plain(*service, false, "\"logprobs\":0");
  EXPECT_EQ(zero.at("choices").at(0).at("logprobs").at("top_logprobs").at(3).at("z").as_double(),
            -0.5);
}

TEST(Logprobs, StreamsCarryTheSame) {
  FakeEngine engine([](const Request& r) { return Scored(r, "ab stop cd"); });
  const auto service = MakeFakeService(&engine);
  for (const char* fields :
       {"\"logprobs\":true,\"top_logprobs\":1", "\"logprobs\":true,\"stop\":\"stop\"",
        "\"logprobs\":true,\"stop\":\"zz\""}) {
    json::array streamed;
    for (const json::value& event : Streamed(*service, true, fields)) {
      for (const json::value& choice : event.at("choices").as_array()) {
        if (choice.at("logprobs").is_null()) continue;
        for (const json::value& token : choice.at("logprobs").at("content").as_array()) {
          streamed.push_back(token);
        }
      }
    }
    const json::value plain = Plain(*service, true, fields);
    EXPECT_EQ(json::value(streamed), plain.at("choices").at(0).at("logprobs").at("content"));
  }
  // Tokens of a matched stop string are not reported.
  const json::value cut = Plain(*service, true, "\"logprobs\":true,\"stop\":\"stop\"");
  EXPECT_EQ(cut.at("choices").at(0).at("logprobs").at("content").as_array().size(), 3u);
}

TEST(Errors, BeforeTheFirstEventTheyKeepTheirStatus) {
  FakeEngine engine([](const Request&) {
    return std::vector<TokenEvent>{FakeEngine::Failed(ErrorCode::kTooLong, "too long")};
  });
  const auto service = MakeFakeService(&engine);
  const auto generation = Start(*service, true, "\"stream\":true");
  std::string out;
  EXPECT_TRUE(generation->Advance(&out));
  EXPECT_FALSE(generation->started());
  EXPECT_EQ(generation->error()->code, ErrorCode::kTooLong);
}

TEST(Errors, InsideAStreamTheyAreEvents) {
  FakeEngine engine([](const Request&) {
    return std::vector<TokenEvent>{FakeEngine::Admitted(1), FakeEngine::Token('a'),
                                   FakeEngine::Failed(ErrorCode::kComputeFault, "a fault")};
  });
  const auto service = MakeFakeService(&engine);
  const auto generation = Start(*service, true, "\"stream\":true");
  const auto events = Events(RunToEnd(*generation));
  EXPECT_EQ(events.back().at("error").at("message").as_string(), "a fault");
  EXPECT_EQ(events.back().at("error").at("code").as_int64(), 500);
}

TEST(Errors, FailEndsAStreamCleanly) {
  FakeEngine engine([](const Request&) {
    return std::vector<TokenEvent>{FakeEngine::Admitted(1), FakeEngine::Token('a')};
  });
  const auto service = MakeFakeService(&engine);
  const auto generation = Start(*service, true, "\"stream\":true");
  std::string out;
  EXPECT_FALSE(generation->Advance(&out));
  generation->Fail(Error{ErrorCode::kUnavailable, "the server is shutting down", {}});
  EXPECT_TRUE(generation->Advance(&out));
  EXPECT_THAT(out, HasSubstr("shutting down"));
  EXPECT_THAT(out, testing::EndsWith("data: [DONE]\n\n"));
  EXPECT_EQ(engine.cancelled, 1);
}

TEST(Errors, SubmissionErrorsComeBackAndLeaveNothingRunning) {
  FakeEngine engine(Says("x"));
  engine.refuse = Error{ErrorCode::kOverloaded, "full", {}};
  const auto service = MakeFakeService(&engine);
  const auto result = service->Chat("{" + std::string(kMessages) + "}", {"id", ""});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kOverloaded);
}

}  // namespace
}  // namespace lb::api

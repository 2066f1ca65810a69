// Thoughts and content: each format's parser gives the same segments whatever the cuts, the answers
// that real models gave come apart rightly, streamed as plain, and a budget ends a thought.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "api/json_reader.h"
#include "api/reasoning/budget.h"
#include "api/reasoning/channels.h"
#include "api/reasoning/format.h"
#include "api/reasoning/think_tags.h"
#include "tests/api/fakes.h"

namespace lb::api {
namespace {

namespace json = boost::json;

constexpr char kOpen[] = "<think>", kClose[] = "</think>";

struct Parts {
  std::string reasoning, content, all;
  bool has_reasoning = false, thinking = false;
  bool operator==(const Parts&) const = default;
};

Parts Split(ReasoningSplitter& splitter, const std::vector<std::string>& pieces) {
  Parts parts;
  const auto take = [&](const std::vector<Segment>& segments) {
    for (const Segment& s : segments) {
      EXPECT_FALSE(s.text.empty());
      parts.all += s.text;
      if (s.kind == SegmentKind::kReasoning) parts.reasoning += s.text;
      if (s.kind == SegmentKind::kContent) parts.content += s.text;
    }
  };
  for (const std::string& piece : pieces) take(splitter.Push(piece));
  take(splitter.Flush());
  parts.has_reasoning = splitter.has_reasoning();
  parts.thinking = splitter.thinking();
  return parts;
}

Parts Tags(const std::string& text, bool opened) {
  ThinkTags splitter(kOpen, kClose, opened);
  return Split(splitter, {text});
}

TEST(ThinkTags, WhereThePromptHasOpenedTheThought) {
  struct Case {
    const char *text, *reasoning, *content;
    bool thinking;
  };
  const Case cases[] = {
      {"plan</think>\n\n42", "plan", "42", false},
      {"<think>plan</think>42", "plan", "42", false},
      {"\n<think>\nplan\n</think>\n\n42\n", "plan", "42\n", false},
      {"42", "42", "", true},
      {"plan", "plan", "", true},
      {"</think>", "", "", false},
      {"a</think>b</think>c", "a", "b</think>c", false},
      {"<thing x", "<thing x", "", true},
      {"a </thin", "a </thin", "", true},
      {"", "", "", true},
      {"\n\n", "", "", true},
  };
  for (const Case& c : cases) {
    const Parts parts = Tags(c.text, true);
    EXPECT_EQ(parts.reasoning, c.reasoning) << c.text;
    EXPECT_EQ(parts.content, c.content) << c.text;
    EXPECT_EQ(parts.thinking, c.thinking) << c.text;
    EXPECT_EQ(parts.all, c.text);
    EXPECT_TRUE(parts.has_reasoning);
  }
}

TEST(ThinkTags, WhereTheAnswerOpensItItself) {
  struct Case {
    const char *text, *reasoning, *content;
    bool has_reasoning;
  };
  const Case cases[] = {
      {"<think>plan</think>42", "plan", "42", true},
      {"<think>\n\n</think>\n\n42", "", "42", true},
      {"\n <think>a < b </ c</think> 42", "a < b </ c", "42", true},
      {"42", "", "42", false},
      {" 42", "", " 42", false},
      {"<thing x", "", "<thing x", false},
      {"say <think>no</think>", "", "say <think>no</think>", false},
      {"<thin", "", "<thin", false},
      {"", "", "", false},
  };
  for (const Case& c : cases) {
    const Parts parts = Tags(c.text, false);
    EXPECT_EQ(parts.reasoning, c.reasoning) << c.text;
    EXPECT_EQ(parts.content, c.content) << c.text;
    EXPECT_EQ(parts.has_reasoning, c.has_reasoning) << c.text;
    EXPECT_EQ(parts.all, c.text);
  }
}

constexpr char kHarmony[] =
    "<|channel|>analysis<|message|>The user asks.<|end|><|start|>assistant<|channel|>commentary"
    "<|message|>Wait. <|end|><|start|>assistant<|channel|>final<|message|>It is 42.";

TEST(Channels, ThoughtsAndMessages) {
  struct Case {
    const char *opened, *text, *reasoning, *content;
    bool thinking;
  };
  const Case cases[] = {
      {"", kHarmony, "The user asks.", "Wait. It is 42.", false},
      {"", "plain words", "", "plain words", false},
      {"", "<|channel|>analysis<|message|>cut", "cut", "", true},
      {"", "<|channel|>anal", "", "", false},
      {"", "<|channel|>final<|message|>a <|b|> c<|return|>", "", "a <|b|> c", false},
      {"<|channel|>analysis<|message|>", "t<|end|><|start|>assistant<|channel|>final<|message|>c",
       "t", "c", false},
      {"<|channel|>final<|message|>", "c", "", "c", false},
      {"", "<|channel|>final <|constrain|>json<|message|>{}", "", "{}", false},
  };
  for (const Case& c : cases) {
    Channels splitter(c.opened);
    const Parts parts = Split(splitter, {c.text});
    EXPECT_EQ(parts.reasoning, c.reasoning) << c.text;
    EXPECT_EQ(parts.content, c.content) << c.text;
    EXPECT_EQ(parts.thinking, c.thinking) << c.text;
    EXPECT_EQ(parts.all, c.text);
  }
  // A header that never ends does not swallow the answer.
  Channels endless("");
  const std::string words(5000, 'x');
  EXPECT_GT(Split(endless, {"<|channel|>" + words}).content.size(), 4000u);
}

// Random texts out of what matters, cut at random: every cut must give what the whole gives.
TEST(Splitters, CutsDoNotMatter) {
  std::mt19937 random(7);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const std::vector<std::string> words = {kOpen,         kClose,       "<",
                                          "</",          "think>",     "<thi",
                                          " ",           "\n",         "\n\n",
                                          "plan",        "\xC3\xA9",   "42",
                                          "<|channel|>", "analysis",   "final",
                                          "<|message|>", "<|end|>",    "<|start|>assistant",
                                          "<|",          "<|return|>", "commentary to=functions.f"};
  for (int round = 0; round < 4000; ++round) {
    std::string text;
    for (size_t n = below(10); n > 0; --n) text += words[below(words.size())];
    const bool opened = random() % 2 == 0;
    const auto make = [&]() -> std::unique_ptr<ReasoningSplitter> {
      if (round % 2 == 0) return std::make_unique<ThinkTags>(kOpen, kClose, opened);
      return std::make_unique<Channels>(opened ? "<|channel|>analysis<|message|>" : "");
    };
    const Parts whole = Split(*make(), {text});
    EXPECT_EQ(whole.all, text);
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size();) {
      const size_t n = 1 + below(text.size() - at);
      pieces.push_back(text.substr(at, n));
      at += n;
    }
    ASSERT_EQ(Split(*make(), pieces), whole) << text;
    pieces.clear();
    for (const char c : text) pieces.emplace_back(1, c);
    ASSERT_EQ(Split(*make(), pieces), whole) << text;
  }
}

TEST(Format, IsSeenInTheTemplate) {
  const ByteTokenizer tokenizer;
  const auto kind = [&](const char* source) { return FindReasoningFormat(source, tokenizer).kind; };
  using Kind = ReasoningFormat::Kind;
  EXPECT_EQ(kind("{{ messages }}"), Kind::kNone);
  EXPECT_EQ(kind("{{ '<think>\n' }}"), Kind::kTags);
  EXPECT_EQ(kind("content.split('</think>')[-1]"), Kind::kTags);
  EXPECT_EQ(kind("<|start|>assistant<|channel|>final<|message|>"), Kind::kChannels);
  EXPECT_EQ(FindReasoningFormat("<seed:think>", tokenizer).close, "</seed:think>");
  EXPECT_EQ(FindReasoningFormat("'<|channel>thought\n'", tokenizer).close, "<channel|>");
  const ReasoningFormat tags = FindReasoningFormat("<think>", tokenizer);
  EXPECT_EQ(OpenedByPrompt(tags, "<|im_start|>assistant\n<think>\n"), "<think>");
  EXPECT_EQ(OpenedByPrompt(tags, "<think>\n\n</think>\n\n"), "");
  const ReasoningFormat channels = FindReasoningFormat("<|channel|><|message|>", tokenizer);
  EXPECT_EQ(OpenedByPrompt(channels, "<|end|><|start|>assistant"), "");
  EXPECT_EQ(OpenedByPrompt(channels, "<|end|><|start|>assistant<|channel|>final<|message|>"),
            "<|channel|>final<|message|>");
}

// A model of bytes that thinks aloud for ever, unless a guide allows one token only.
std::string Think(TokenGuide& guide, const std::string& wish, int max_tokens) {
  std::string text;
  while (static_cast<int>(text.size()) < max_tokens) {
    const auto allowed = guide.Allowed();
    TokenId next = static_cast<unsigned char>(wish[std::min(text.size(), wish.size() - 1)]);
    int count = 0;
    for (TokenId id = 0; !allowed.empty() && id < 259; ++id) {
      if ((allowed[static_cast<size_t>(id) / 32] >> (id % 32)) & 1) {
        next = id;
        ++count;
      }
    }
    EXPECT_LE(count, 1);
    guide.Take(next);
    text += static_cast<char>(next);
  }
  return text;
}

TEST(Budget, ClosesTheThoughtWhenItIsSpent) {
  const ByteTokenizer tokenizer;
  const ReasoningFormat tags = FindReasoningFormat("<think>", tokenizer);
  const auto run = [&](const char* opened, int64_t budget, const std::string& wish) {
    ThinkingBudget guide(tokenizer, tags, opened, budget);
    return Think(guide, wish, 30);
  };
  EXPECT_THAT(run(kOpen, 4, "abcdefghi"), testing::StartsWith("abcd\n</think>\n\n"));
  EXPECT_THAT(run(kOpen, 0, "abcdefghi"), testing::StartsWith("\n</think>\n\n"));
  EXPECT_THAT(run("", 3, "<think>abcdefghi"), testing::StartsWith("<think>abc\n</think>\n\n"));
  EXPECT_THAT(run("", 0, "<think>abcdefghi"), testing::StartsWith("<think>\n</think>\n\n"));
  // Not in the middle of a character.
  EXPECT_THAT(run(kOpen, 1, "\xE4\xBD\xA0zzzz"), testing::StartsWith("\xE4\xBD\xA0\n</think>\n\n"));
  // No thought, or one that ends in time: nothing is forced.
  for (const char* wish : {"no thought at all, just words ", "<think>ab</think>and then words"}) {
    EXPECT_EQ(run("", 8 + 2, wish), std::string(wish).substr(0, 30)) << wish;
  }
  const ReasoningFormat channels = FindReasoningFormat("<|channel|><|message|>", tokenizer);
  ThinkingBudget guide(tokenizer, channels, "", 2);
  EXPECT_THAT(Think(guide, "<|channel|>analysis<|message|>abcdefgh", 90),
              testing::StartsWith("<|channel|>analysis<|message|>ab<|end|><|start|>assistant"
                                  "<|channel|>final<|message|>"));
}

constexpr char kThinking[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and not "
    "enable_thinking %}<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}{% endif %}";

std::shared_ptr<Service> ThinkingService(EngineClient* engine, GenerationDefaults defaults = {}) {
  return MakeFakeService(engine, std::move(defaults), kThinking);
}

std::string Body(const std::string& more) {
  return "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" +
         (more.empty() ? "" : "," + more) + "}";
}

json::value Plain(const Service& service, const std::string& more) {
  auto generation = service.Chat(Body(more), {"id", ""});
  EXPECT_TRUE(generation.has_value()) << generation.error().message;
  std::string out;
  EXPECT_TRUE((*generation)->Advance(&out));
  return ParseJson((*generation)->Body()).value();
}

TEST(Chat, ReasoningHasAFieldOfItsOwn) {
  FakeEngine engine([](const Request& r) { return FakeEngine::Saying(r, "plan</think>\n\n42"); });
  const auto service = ThinkingService(&engine);
  const json::value reply = Plain(*service, "\"logprobs\":true");
  const json::value& message = reply.at("choices").at(0).at("message");
  EXPECT_EQ(message.at("reasoning_content").as_string(), "plan");
  EXPECT_EQ(message.at("content").as_string(), "42");
  // The tokens of the content, and only those.
  EXPECT_EQ(reply.at("choices").at(0).at("logprobs").at("content").as_array().size(), 2u);
  const json::value& details = reply.at("usage").at("completion_tokens_details");
  EXPECT_EQ(details.at("reasoning_tokens").as_int64(), 14);
  EXPECT_EQ(reply.at("usage").at("completion_tokens").as_int64(), 16);

  const json::value raw = Plain(*service, "\"reasoning_format\":\"none\"");
  EXPECT_EQ(raw.at("choices").at(0).at("message").at("content").as_string(), "plan</think>\n\n42");
  EXPECT_FALSE(raw.at("choices").at(0).at("message").as_object().contains("reasoning_content"));
  EXPECT_EQ(service->Chat(Body("\"reasoning_format\":\"x\""), {"id", ""}).error().param,
            "reasoning_format");
}

TEST(Chat, StopStringsAreLookedForInTheContent) {
  FakeEngine engine([](const Request& r) { return FakeEngine::Saying(r, "a 4 b</think>1 4 2"); });
  const auto service = ThinkingService(&engine);
  const json::value reply = Plain(*service, "\"stop\":\" 4\"");
  EXPECT_EQ(reply.at("choices").at(0).at("message").at("content").as_string(), "1");
  EXPECT_EQ(reply.at("choices").at(0).at("message").at("reasoning_content").as_string(), "a 4 b");
}

TEST(Chat, AThoughtThatIsNotOverLeavesContentNull) {
  FakeEngine engine(
      [](const Request& r) { return FakeEngine::Saying(r, "plan", FinishReason::kLength); });
  const auto service = ThinkingService(&engine);
  const json::value reply = Plain(*service, "");
  EXPECT_TRUE(reply.at("choices").at(0).at("message").at("content").is_null());
  EXPECT_EQ(reply.at("choices").at(0).at("finish_reason").as_string(), "length");
}

TEST(Chat, StreamedThoughtsAreThePlainOnes) {
  for (const char* text : {"plan\n</think>\n\n42", "<think>plan</think>42", "42", "</think>",
                           "a</think>b</think>c", "<thing x", "a</think>\n"}) {
    FakeEngine engine([&](const Request& r) { return FakeEngine::Saying(r, text); });
    const auto service = ThinkingService(&engine);
    const json::value plain = Plain(*service, "");
    auto generation = service->Chat(Body("\"stream\":true"), {"id", ""});
    std::string out, reasoning, content;
    EXPECT_TRUE((*generation)->Advance(&out));
    for (size_t at = 0; at < out.size();) {
      const size_t end = out.find("\n\n", at);
      const std::string event = out.substr(at + 6, end - at - 6);
      at = end + 2;
      if (event == "[DONE]") continue;
      const json::value parsed = ParseJson(event).value();
      const json::object& delta = parsed.at("choices").at(0).at("delta").as_object();
      if (delta.contains("reasoning_content")) {
        reasoning += delta.at("reasoning_content").as_string();
      }
      if (delta.contains("content") && delta.at("content").is_string()) {
        content += delta.at("content").as_string();
      }
    }
    const json::value& message = plain.at("choices").at(0).at("message");
    EXPECT_EQ(message.at("reasoning_content").as_string(), reasoning) << text;
    EXPECT_EQ(message.at("content").is_null() ? "" : message.at("content").as_string(), content);
  }
}

TEST(Chat, ThinkingIsSwitchedOff) {
  FakeEngine engine([](const Request& r) { return FakeEngine::Saying(r, "42"); });
  const auto prompt = [&](const Service& service, const std::string& more) {
    const json::value reply = Plain(service, more);
    EXPECT_EQ(reply.at("choices").at(0).at("message").as_object().contains("reasoning_content"),
              reply.at("choices").at(0).at("message").at("content").is_null());
    return ByteTokenizer().Decode(engine.requests.back().prompt, true);
  };
  const auto service = ThinkingService(&engine);
  EXPECT_THAT(prompt(*service, ""), testing::EndsWith("<think>\n"));
  EXPECT_EQ(engine.requests.back().guide, nullptr);
  for (const char* off :
       {"\"enable_thinking\":false", "\"reasoning_effort\":\"none\"", "\"thinking_budget\":0",
        "\"reasoning_budget\":0", "\"chat_template_kwargs\":{\"enable_thinking\":false}"}) {
    EXPECT_THAT(prompt(*service, off), testing::EndsWith("</think>\n\n")) << off;
    EXPECT_NE(engine.requests.back().guide, nullptr) << off;
  }
  GenerationDefaults defaults;
  defaults.enable_thinking = false;
  const auto silent = ThinkingService(&engine, defaults);
  EXPECT_THAT(prompt(*silent, ""), testing::EndsWith("</think>\n\n"));
  EXPECT_THAT(prompt(*silent, "\"enable_thinking\":true"), testing::EndsWith("<think>\n"));
  // Templates for which silence means no are told yes.
  const auto silence_is_no = MakeFakeService(
      &engine, {},
      "{{ messages[0].content }}<think>\n{% if not enable_thinking %}</think>{% endif %}");
  EXPECT_THAT(prompt(*silence_is_no, ""), testing::EndsWith("<think>\n"));
  const auto other_name = MakeFakeService(
      &engine, {},
      "{{ messages[0].content }}{% if thinking %}<think>{% else %}</think>{% endif %}");
  EXPECT_THAT(prompt(*other_name, ""), testing::EndsWith("<think>"));
  EXPECT_THAT(prompt(*other_name, "\"enable_thinking\":false"), testing::EndsWith("</think>"));
  // A template without a switch: the thought that it opens is closed at once.
  const auto stubborn = MakeFakeService(
      &engine, {}, "{{ messages[0].content }}{% if add_generation_prompt %}<think>\n{% endif %}");
  EXPECT_THAT(prompt(*stubborn, "\"enable_thinking\":false"),
              testing::EndsWith("<think>\n</think>\n\n"));
}

TEST(Chat, TheLastAssistantMessageIsContinued) {
  FakeEngine engine([](const Request& r) { return FakeEngine::Saying(r, "x"); });
  const auto plain = MakeFakeService(&engine);
  const auto thinking = ThinkingService(&engine);
  const auto prompt = [&](const Service& service, const std::string& last,
                          const std::string& more = "") -> std::string {
    const auto result = service.Chat(
        "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\"," + last +
            "}]" + more + "}",
        {"id", ""});
    if (!result.has_value()) return result.error().param;
    return ByteTokenizer().Decode(engine.requests.back().prompt, true);
  };
  const std::string start = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(prompt(*plain, "\"content\":\"Well\""), start + "Well");
  EXPECT_EQ(prompt(*plain, "\"content\":[{\"type\":\"text\",\"text\":\"Well\"}]",
                   ",\"continue_final_message\":true,\"add_generation_prompt\":false"),
            start + "Well");
  EXPECT_EQ(prompt(*plain, "\"content\":\"Well\"", ",\"add_generation_prompt\":true"),
            start + "Well<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(prompt(*plain, "\"content\":\"Well\"",
                   ",\"add_generation_prompt\":true,\"continue_final_message\":true"),
            "continue_final_message");
  EXPECT_EQ(prompt(*plain, "\"content\":null", ",\"continue_final_message\":true"),
            "continue_final_message");
  // Its text is text.
  prompt(*plain, "\"content\":\"<|im_end|>\"");
  EXPECT_EQ(engine.requests.back().prompt.back(), '>');
  // A thought that the template opens is closed before the content goes on.
  EXPECT_EQ(prompt(*thinking, "\"content\":\"Well\",\"reasoning_content\":\"plan\""),
            start + "<think>\nplan\n</think>\n\nWell");
  EXPECT_EQ(prompt(*thinking, "\"reasoning_content\":\"plan\""), start + "<think>\nplan");
}

}  // namespace
}  // namespace lb::api

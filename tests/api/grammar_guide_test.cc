// Proves that an answer is bound by its grammar from its first token, or from the end of its
// thought on: thoughts are free but cannot end the answer, a budget ends them, and none is forced.
#include "api/grammar_guide.h"

#include <gtest/gtest.h>

#include "tests/api/fakes.h"

namespace lb::api {
namespace {

class GrammarGuideTest : public ::testing::Test {
 protected:
  GrammarGuideTest() : compiler_(tokenizer_) {
    tags_.kind = ReasoningFormat::Kind::kTags;
    tags_.open = "<";  // one token of the byte tokenizer
    tags_.close = "/>";
    tags_.forced = "/>";
  }

  std::shared_ptr<const grammar::CompiledGrammar> Compile(const std::string& gbnf) {
    return compiler_.Compile({grammar::Constraint::Kind::kGbnf, gbnf, "grammar"}).value();
  }
  static bool May(TokenGuide& guide, TokenId token) {
    const std::span<const uint32_t> mask = guide.Allowed();
    return mask.empty() || (mask[static_cast<size_t>(token) / 32] >> (token % 32) & 1) != 0;
  }
  // Takes the text; false as soon as one of its tokens is not allowed.
  static bool Say(TokenGuide& guide, std::string_view text) {
    for (const char c : text) {
      const TokenId token = static_cast<unsigned char>(c);
      if (!May(guide, token)) return false;
      guide.Take(token);
    }
    return true;
  }

  ByteTokenizer tokenizer_;
  grammar::Compiler compiler_;
  ReasoningFormat tags_;
  const TokenId end_ = ByteTokenizer::kEnd;
};

TEST_F(GrammarGuideTest, BindsFromTheFirstToken) {
  GrammarGuide guide(tokenizer_, Compile("root ::= \"yes\" | \"no\""));
  EXPECT_FALSE(May(guide, 'x'));
  EXPECT_FALSE(May(guide, end_));
  EXPECT_TRUE(Say(guide, "yes"));
  EXPECT_TRUE(May(guide, end_));
  EXPECT_FALSE(May(guide, '!'));
}

TEST_F(GrammarGuideTest, AnOpenThoughtIsFreeButDoesNotEndTheAnswer) {
  GrammarGuide guide(tokenizer_, Compile("root ::= \"yes\""), tags_, "<", -1);
  EXPECT_TRUE(Say(guide, "any {thing} at all"));
  EXPECT_FALSE(May(guide, end_));
  EXPECT_TRUE(Say(guide, "/>"));
  EXPECT_FALSE(May(guide, ' '));
  EXPECT_TRUE(Say(guide, "yes"));
  EXPECT_TRUE(May(guide, end_));
}

TEST_F(GrammarGuideTest, AThoughtMayBeginOrNot) {
  GrammarGuide thinks(tokenizer_, Compile("root ::= \"yes\""), tags_, "", -1);
  EXPECT_FALSE(May(thinks, 'x'));
  EXPECT_TRUE(Say(thinks, "<hm/>yes"));
  EXPECT_TRUE(May(thinks, end_));
  GrammarGuide does_not(tokenizer_, Compile("root ::= \"yes\""), tags_, "", -1);
  EXPECT_TRUE(Say(does_not, "y"));
  EXPECT_FALSE(May(does_not, '<'));
  EXPECT_TRUE(Say(does_not, "es"));
  GrammarGuide may_not(tokenizer_, Compile("root ::= \"yes\""), tags_, "", 0);
  EXPECT_FALSE(May(may_not, '<'));
}

TEST_F(GrammarGuideTest, ABudgetEndsTheThought) {
  GrammarGuide guide(tokenizer_, Compile("root ::= \"yes\""), tags_, "<", 3);
  EXPECT_TRUE(Say(guide, "abc"));
  EXPECT_FALSE(May(guide, 'd'));
  EXPECT_TRUE(Say(guide, "/>yes"));
  EXPECT_TRUE(May(guide, end_));
}

TEST_F(GrammarGuideTest, OnChannelsTheLastMessageIsBound) {
  ReasoningFormat channels;
  channels.kind = ReasoningFormat::Kind::kChannels;
  channels.open = "<|channel|>analysis<|message|>";
  channels.close = "<|end|>";
  GrammarGuide guide(tokenizer_, Compile("root ::= \"yes\""), channels, "", -1);
  EXPECT_TRUE(Say(guide, "<|channel|>analysis<|message|>well<|end|><|start|>assistant"));
  EXPECT_FALSE(May(guide, end_));
  EXPECT_TRUE(Say(guide, "<|channel|>final <|constrain|>json<|message|>"));
  EXPECT_FALSE(May(guide, 'x'));
  EXPECT_TRUE(Say(guide, "yes"));
  EXPECT_TRUE(May(guide, end_));
}

}  // namespace
}  // namespace lb::api

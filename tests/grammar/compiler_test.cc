// Proves that masks are the grammar: a token is allowed exactly when its text can go on, an end of
// generation exactly when the text may end; that rollback undoes; and what GBNF and regular
// expressions mean.
#include <gmock/gmock.h>

#include "grammar/gbnf.h"
#include "grammar/regex.h"
#include "grammar_fixture.h"

namespace lb::grammar {
namespace {

using ::testing::HasSubstr;

class Grammar : public GrammarTest {};

bool IsSet(std::span<const uint32_t> mask, TokenId token) {
  return (mask[static_cast<size_t>(token) / 32] >> (token % 32) & 1) != 0;
}

TEST_F(Grammar, MaskIsWhatMayFollow) {
  const std::string grammar = "root ::= (\"hello\" | \"hell\" [0-9]) \"12\"*";
  auto matcher = Start(Constraint::Kind::kGbnf, grammar);
  ASSERT_TRUE(matcher.has_value());
  const TokenId end = tokenizer_->special().end_of_generation.at(0);
  for (const char* step : {"hell", "o", "12", "1", "2"}) {
    const std::span<const uint32_t> mask = matcher->Allowed();
    const std::vector<uint32_t> before(mask.begin(), mask.end());
    EXPECT_EQ(IsSet(before, end), matcher->IsComplete()) << step;
    TokenId chosen = -1;
    for (TokenId id = 0; id < tokenizer_->num_tokens(); ++id) {
      if (std::ranges::count(tokenizer_->special().end_of_generation, id) > 0) continue;
      const std::string text = tokenizer_->TokenBytes(id, false);
      const bool can = !text.empty() && matcher->TakeText(text);
      if (can) matcher->Rollback(1);
      EXPECT_EQ(IsSet(before, id), can) << step << ": " << text;
      if (text == step) chosen = id;
    }
    ASSERT_TRUE(matcher->Take(chosen)) << step;
  }
  EXPECT_TRUE(matcher->IsComplete());
  matcher->Rollback(2);
  EXPECT_TRUE(matcher->IsComplete());
  matcher->Rollback(2);
  EXPECT_FALSE(matcher->IsComplete());
}

TEST_F(Grammar, AnyObject) {
  for (const char* text : {"{}", R"({"a": [1, {"b": null}], "c": "d"})"}) {
    EXPECT_TRUE(Takes(Constraint::Kind::kJsonObject, "", text)) << text;
  }
  for (const char* text : {"[]", "1", "{a:1}", "{\"a\":1", " "}) {
    EXPECT_FALSE(Takes(Constraint::Kind::kJsonObject, "", text)) << text;
  }
}

TEST_F(Grammar, Gbnf) {
  const std::string list =
      "# items\nroot ::= item+\nitem ::= \"- \" [^\\r\\n\\x0b]{1,5}\n   \"\\n\"  # two lines\n";
  EXPECT_THAT(TranslateGbnf(list).error().message, HasSubstr("line 4"));
  const std::string good =
      "# items\nroot ::= item+\nitem ::= \"- \" ([^\\r\\n\\x0b]{1,5} |\n\n \"\\\"q\\\"\")? "
      "\"\\n\"\nno-one ::= .\n";
  for (const char* text : {"- a\n", "- abc\n- \n", "- \"q\"\n", "- \xC3\xA9\n"}) {
    EXPECT_TRUE(Takes(Constraint::Kind::kGbnf, good, text)) << text;
  }
  for (const char* text : {"", "- abcdefg\n", "-a\n", "- a"}) {
    EXPECT_FALSE(Takes(Constraint::Kind::kGbnf, good, text)) << text;
  }
  EXPECT_TRUE(Takes(Constraint::Kind::kGbnf,
                    "root ::= [a-z\\-\\]\\\\\"'^]{2} \"\\u00e9\" \"(|)*+?{}\"",
                    "-]\xC3\xA9(|)*+?{}"));
  EXPECT_TRUE(
      Takes(Constraint::Kind::kGbnf,
            "root ::= expr\nexpr ::= term (\"+\" expr)?\nterm ::= [0-9]+ | \"(\" expr \")\"",
            "(1+2)+34"));
  EXPECT_TRUE(Takes(Constraint::Kind::kGbnf, "root ::= \"a\" | ", ""));
}

TEST_F(Grammar, GbnfErrorsSayWhere) {
  const auto message = [](const char* text) { return TranslateGbnf(text).error().message; };
  EXPECT_THAT(message("root ::= \"a\" | what"), HasSubstr("line 1, column 16"));
  EXPECT_THAT(message("a ::= \"b\""), HasSubstr("root"));
  EXPECT_THAT(message("root ::= \"a"), HasSubstr("column 10"));
  EXPECT_THAT(message("root ::= a\na ::= \"\" b\nb ::= a \"c\""), HasSubstr("left recursion"));
  EXPECT_THAT(message("root ::= \"a\"{5,2}"), HasSubstr("before it begins"));
  EXPECT_THAT(message("root ::= ((\"a\"{200}){200}){200}"), HasSubstr("20000"));
  EXPECT_THAT(message("root ::= <think>"), HasSubstr("tokens"));
  EXPECT_THAT(message(""), HasSubstr("root"));
  EXPECT_THAT(message("root := \"a\""), HasSubstr("::="));
  EXPECT_THAT(message("root ::= \"\\q\""), HasSubstr("escape"));
}

TEST_F(Grammar, RegexIsTheWholeText) {
  const auto takes = [&](const char* regex, const char* text) {
    return Takes(Constraint::Kind::kRegex, regex, text);
  };
  EXPECT_TRUE(takes("[a-z]+@[a-z]+\\.(com|org)", "ab@c.org"));
  EXPECT_FALSE(takes("[a-z]+@[a-z]+\\.(com|org)", "ab@c.net"));
  EXPECT_FALSE(takes("b", "abc"));
  EXPECT_TRUE(takes("^(?:yes|no)$", "no"));
  EXPECT_TRUE(takes("a{2,3}?b*", "aab"));
  EXPECT_TRUE(takes("\\d{4}-\\w+[^\\s-]", "2026-abc!"));
  EXPECT_TRUE(takes(".", "\xC3\xA9"));
  EXPECT_FALSE(takes(".", "\n"));
  EXPECT_TRUE(takes("\\u00e9[\\x41-C]\\u{4E2D}",
                    "\xC3\xA9"
                    "B\xE4\xB8\xAD"));
  EXPECT_TRUE(takes("a|", ""));
}

TEST_F(Grammar, RegexKnowsEveryCharacter) {
  for (int c = 1; c < 0x7F; ++c) {
    const std::string escaped = fmt::format("\\x{:02x}", c), text(1, static_cast<char>(c));
    EXPECT_TRUE(Takes(Constraint::Kind::kRegex, escaped, text)) << c;
    EXPECT_TRUE(Takes(Constraint::Kind::kRegex, "[" + escaped + "0]", text)) << c;
    EXPECT_FALSE(Takes(Constraint::Kind::kRegex, "[^" + escaped + "]", text)) << c;
    EXPECT_TRUE(Takes(Constraint::Kind::kRegex, "[^\\u{1F600}]", text)) << c;
    EXPECT_TRUE(Takes(Constraint::Kind::kGbnf, "root ::= [" + escaped + "0] \"" + escaped + "\"",
                      text + text))
        << c;
  }
}

TEST(Regex, SaysWhatItCannot) {
  const auto message = [](const char* text) { return ReadRegex(text).error().message; };
  EXPECT_THAT(message("a(?=b)"), HasSubstr("lookahead"));
  EXPECT_THAT(message("(a)\\1"), HasSubstr("backreference"));
  EXPECT_THAT(message("\\bword"), HasSubstr("word boundary"));
  EXPECT_THAT(message("a^b"), HasSubstr("anchor"));
  EXPECT_THAT(message("\\p{L}"), HasSubstr("Unicode property"));
  EXPECT_THAT(message("[b-a]"), HasSubstr("range"));
  EXPECT_THAT(message("(a"), HasSubstr("group"));
  EXPECT_THAT(message("a)"), HasSubstr("')'"));
  EXPECT_THAT(message("((a{1,200}){1,200}){1,50}"), HasSubstr("20000"));
  EXPECT_EQ(ReadRegex("[ab]c{2,4}d?").value().min_chars, 3);
  EXPECT_EQ(ReadRegex("[ab]c{2,4}d?").value().max_chars, 6);
  EXPECT_EQ(ReadRegex("a+").value().max_chars, -1);
}

TEST_F(Grammar, StructuralTagsBindAfterTheirTrigger) {
  const std::string tag =
      R"({"type":"structural_tag","format":{"type":"triggered_tags","triggers":["<f>"],"tags":[
         {"begin":"<f>","content":{"type":"json_schema","json_schema":{"type":"integer"}},"end":"</f>"}]}})";
  EXPECT_TRUE(Takes(Constraint::Kind::kStructuralTag, tag, "any text <f>12</f> and more"));
  auto matcher = Start(Constraint::Kind::kStructuralTag, tag);
  ASSERT_TRUE(matcher.has_value());
  EXPECT_TRUE(matcher->TakeText("hi <f>1"));
  EXPECT_FALSE(matcher->TakeText("a"));
}

TEST_F(Grammar, WhatXGrammarRefusesIsAnError) {
  const auto bad = compiler_.Compile({Constraint::Kind::kStructuralTag, "{}", "tools"});
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().param, "tools");
}

}  // namespace
}  // namespace lb::grammar

// Proves what the chat in a terminal shows and understands: Markdown is styled the same however the
// text was cut, nothing of a text reaches the terminal as a command, lines are broken between words;
// commands of the chat are told from messages, and settings that do not fit stay as they were.
#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "app/terminal/chat_settings.h"
#include "app/terminal/commands.h"
#include "app/terminal/markdown.h"
#include "base/utf8.h"

namespace lb::app {
namespace {

std::string Render(std::string_view text, MarkdownOptions options = {}, size_t step = 1u << 20) {
  MarkdownPrinter printer(options);
  std::string out;
  for (size_t pos = 0; pos < text.size(); pos += step) out += printer.Push(text.substr(pos, step));
  return out + printer.Finish();
}

// Without the styles.
std::string Plain(std::string_view text, MarkdownOptions options = {}) {
  return std::regex_replace(Render(text, options), std::regex("\x1b\\[[0-9;]*m"), "");
}

constexpr std::string_view kDocument =
    "# Title\n\nSome **bold** and *italic* text with `code` in it, snake_case and 2*3*4.\n\n"
    "- one\n- two **x**\n  - inner\n\n1. first\n10. tenth\n\n> quoted\n> > twice\n\n"
    "```python\ndef f(x):\n    return x ** 2  # *not* italic\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n---\n"
    "Wide: \u4f60\u597d\u4e16\u754c \xf0\x9f\x98\x80 end \\*star\\*\n";

TEST(Markdown, TheSameHoweverItIsCut) {
  for (const int width : {0, 10, 23, 80}) {
    const std::string whole = Render(kDocument, {.width = width});
    for (size_t step = 1; step < 9; ++step) EXPECT_EQ(Render(kDocument, {.width = width}, step), whole) << width << " " << step;
  }
}

TEST(Markdown, MarkersBecomeStyles) {
  EXPECT_EQ(Plain("# Title\ntext"), "Title\ntext");
  EXPECT_EQ(Plain("a **b** *c* __d__ `e` f"), "a b c d e f");
  EXPECT_NE(Render("**b**").find("\x1b[0;1mb\x1b[0m"), std::string::npos);
  EXPECT_EQ(Plain("- one\n* two\n+ three"), "\u2022 one\n\u2022 two\n\u2022 three");
  EXPECT_EQ(Plain("> said\nx"), "\u2502 said\nx");
  EXPECT_EQ(Plain("1. one\n12) two"), "1. one\n12) two");
}

TEST(Markdown, WhatIsNoMarkerStays) {
  for (const char* text : {"2 * 3 * 4", "2*3*4", "snake_case_name", "#hashtag", "-5 degrees", "1.5 times", "a # b", "** open",
                           "12 monkeys", "C++ and C--", "x_i", "...", "-", "#", "3."}) {
    EXPECT_EQ(Plain(text), text);
  }
  EXPECT_EQ(Plain("\\*star\\* and \\\\"), "*star* and \\");
}

TEST(Markdown, CodeAndTablesStayAsTheyAre) {
  const char* code = "```python\n# no heading\n- no *bullet* `x`\n\n    indented   twice\n~~~\n```\nafter";
  EXPECT_EQ(Plain(code, {.width = 10}), code);
  const char* inner = "````\n```\ninner\n````\n**b**";
  EXPECT_EQ(Plain(inner), "````\n```\ninner\n````\nb");
  const char* table = "| a long cell | another long cell |\n|---|---|";
  EXPECT_EQ(Plain(table, {.width = 12}), table);
}

TEST(Markdown, LinesAreBrokenBetweenWords) {
  EXPECT_EQ(Plain("one two three four", {.width = 9}), "one two\nthree\nfour");
  EXPECT_EQ(Plain("- one two three", {.width = 9}), "\u2022 one two\n  three");
  EXPECT_EQ(Plain("> one two three", {.width = 9}), "\u2502 one two\n\u2502 three");
  EXPECT_EQ(Plain("a wordlongerthantheline b", {.width = 8}), "a\nwordlongerthantheline\nb");
  EXPECT_EQ(Plain("\u4f60\u597d\u4e16\u754c", {.width = 4}), "\u4f60\u597d\n\u4e16\u754c");
  EXPECT_EQ(Plain("as it is\n\n- x", {.width = 80, .markdown = false}), "as it is\n\n- x");
}

TEST(Markdown, ATextCannotCommandTheTerminal) {
  const std::string hostile = "a\x1b]0;title\x07" "b\x1b[2Jc\r\x08" "d\u009b31me\u202ef\x7f";
  EXPECT_EQ(Plain(hostile), "a]0;titleb[2Jcd31mef");
  EXPECT_EQ(Plain("```\n" + hostile + "\n```"), "```\na]0;titleb[2Jcd31mef\n```");
  EXPECT_EQ(Plain("x\xff\xfey"), "x\ufffd\ufffdy");
}

TEST(Markdown, EmphasisThatIsNeverClosedEndsWithItsParagraph) {
  const std::string out = Render("**open\nstill\n\nplain");
  EXPECT_EQ(out.find("\x1b[0m", out.find("still")) < out.find("plain"), true);
  EXPECT_TRUE(Render("**open").ends_with("\x1b[0m"));
}

class Commands : public testing::Test {
 protected:
  CommandResult Say(std::string_view line) { return RunCommand(line, target_, &reply_); }
  std::string Fields() {
    api::JsonWriter w;
    w.BeginObject();
    settings_.WriteFields(&w);
    w.EndObject();
    return w.Take();
  }
  ChatSettings settings_;
  bool fits_ = true;
  int cleared_ = 0;
  CommandTarget target_{settings_, [this] { ++cleared_; },
                        [this]() -> Result<void> {
                          if (fits_) return {};
                          return Fail(ErrorCode::kInvalidArgument, "it does not fit");
                        },
                        "the model\n"};
  std::string reply_;
};

TEST_F(Commands, AreToldFromMessages) {
  for (const char* line : {"hello", "/usr/bin is what?", "what is /help?", "/", "", "  ", "/etc.conf?"}) {
    EXPECT_EQ(Say(line), CommandResult::kNone) << line;
  }
  EXPECT_EQ(Say("/bye"), CommandResult::kEnd);
  EXPECT_EQ(Say("/help"), CommandResult::kDone);
  EXPECT_NE(reply_.find("/set parameter"), std::string::npos);
  EXPECT_EQ(Say("/nonsense"), CommandResult::kDone);
  EXPECT_NE(reply_.find("no command /nonsense"), std::string::npos);
}

TEST_F(Commands, SetWhatRequestsAreAskedWith) {
  Say("/set parameter temperature 0.5");
  Say("/set parameter num_predict 12");
  Say("/set parameter stop a \"b");
  Say("/set format json");
  Say("/set nothink");
  EXPECT_EQ(Fields(),
            R"({"max_tokens":12,"stop":["a","\"b"],"temperature":0.5,"enable_thinking":false,"response_format":{"type":"json_object"}})");
  Say("/show parameters");
  EXPECT_NE(reply_.find("0.5"), std::string::npos);
  Say("/set noformat");
  EXPECT_EQ(Fields().find("response_format"), std::string::npos);
  Say("/set verbose");
  EXPECT_TRUE(settings_.verbose);
  Say("/set quiet");
  EXPECT_FALSE(settings_.verbose);
  Say("/set nohistory");
  EXPECT_FALSE(settings_.history);
  Say("/set nowordwrap");
  EXPECT_FALSE(settings_.word_wrap);
}

TEST_F(Commands, SetTheSystemMessage) {
  Say("/system You are  a pirate.");
  EXPECT_EQ(settings_.system, "You are  a pirate.");
  Say("/set system \"Be brief.\"");
  EXPECT_EQ(settings_.system, "Be brief.");
  Say("/show system");
  EXPECT_EQ(reply_, "Be brief.\n");
  Say("/system");
  EXPECT_EQ(settings_.system, "");
}

TEST_F(Commands, WhatDoesNotFitStaysAsItWas) {
  Say("/set parameter temperature 0.5");
  const std::string before = Fields();
  for (const char* line : {"/set parameter temperature warm", "/set parameter colour 1", "/set parameter num_ctx 9", "/set", "/set x",
                           "/set parameter temperature", "/set parameter temperature 1 2", "/set parameter temperature inf"}) {
    Say(line);
    EXPECT_EQ(Fields(), before) << line;
    EXPECT_FALSE(reply_.empty()) << line;
  }
  fits_ = false;
  Say("/set parameter temperature 0.7");
  EXPECT_EQ(reply_, "error: it does not fit\n");
  EXPECT_EQ(Fields(), before);
}

TEST_F(Commands, ClearAndShow) {
  Say("/clear");
  EXPECT_EQ(cleared_, 1);
  Say("/show info");
  EXPECT_EQ(reply_, "the model\n");
}

}  // namespace
}  // namespace lb::app

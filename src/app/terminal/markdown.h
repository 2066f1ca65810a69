// Markdown shown in a terminal while it is being written.
#pragma once

#include <string>
#include <string_view>

namespace lb::app {

struct MarkdownOptions {
  int width = 80;        // columns; 0: lines are not broken
  bool markdown = true;  // false: the text as it is, but for width and style
  std::string style;     // of all of it, as a parameter of SGR: "2" is dim
};

// Text in, terminal text out: headings, emphasis, code, lists and quotes are styled, words are kept
// whole at the edge, code and tables are left alone. What cannot be told yet (half a word, a marker
// that may become another) is held back, so what is shown is never taken back, and is the same
// however the text was cut. Control characters of the text are dropped: a model's output is not
// trusted with a terminal. One thread.
class MarkdownPrinter {
 public:
  explicit MarkdownPrinter(MarkdownOptions options = {});

  // What can be shown from now on. `text` may end within a character.
  std::string Push(std::string_view text);
  // The rest, and the end of all styles.
  std::string Finish();

 private:
  void Take(char32_t c);
  void TakeAtStart(char32_t c);
  bool Decide(const std::u32string& mark, char32_t next);
  void TakeInline(char32_t c);
  void ResolveMark(char32_t next);
  void Begin(std::string_view shown, const std::u32string& rest);
  void Put(char32_t c);
  void PutAll(const std::u32string& text);
  void Style();
  void FlushWord();
  void NewLine();
  void EndLine();

  MarkdownOptions options_;
  std::string out_;
  std::string partial_;     // bytes of a character whose rest is to come
  std::u32string start_;    // of a line, while it may still become a marker
  bool at_start_ = true;
  bool raw_line_ = false;   // a table, or a line of code: as it is
  bool heading_ = false, bold_ = false, italic_ = false, quote_ = false;
  size_t code_ticks_ = 0;   // of the code span that is open; 0: none
  std::u32string fence_;    // the marker of the block of code that is open; empty: none
  bool fence_line_ = false; // the line that opens or closes it
  std::u32string mark_;     // inline, while it may still grow
  char32_t previous_ = ' ';
  std::string word_;
  int word_columns_ = 0, column_ = 0, spaces_ = 0;
  std::string hang_;        // what a broken line goes on with
  int hang_columns_ = 0;
};

}  // namespace lb::app

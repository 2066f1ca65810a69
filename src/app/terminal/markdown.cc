#include "app/terminal/markdown.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace lb::app {
namespace {

bool IsSpace(char32_t c) { return c == ' ' || c == '\n' || c == '\t'; }
bool IsDigit(char32_t c) { return c >= '0' && c <= '9'; }
bool IsWordChar(char32_t c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c > 0x7F;
}
bool IsPunctuation(char32_t c) { return c > ' ' && c < 0x7F && !IsWordChar(c); }

// Nothing that a terminal obeys: C0, DEL, C1, and marks that turn the order of a line around.
bool IsHidden(char32_t c) {
  return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0) ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

bool IsAll(const std::u32string& text, char32_t c) {
  return !text.empty() && text.find_first_not_of(c) == std::u32string::npos;
}

int Columns(char32_t c) { return c == '\t' ? 4 : utf8proc_charwidth(static_cast<int32_t>(c)); }

}  // namespace

MarkdownPrinter::MarkdownPrinter(MarkdownOptions options) : options_(std::move(options)) {
  if (!options_.style.empty()) Style();
}

std::string MarkdownPrinter::Push(std::string_view text) {
  partial_ += text;
  const size_t end = partial_.size() - IncompleteUtf8Tail(partial_);
  for (size_t pos = 0; pos < end;) {
    const Utf8Char c = DecodeUtf8(partial_, pos);
    pos += static_cast<size_t>(c.length);
    if (!IsHidden(c.code)) Take(c.code);
  }
  partial_.erase(0, end);
  return std::exchange(out_, {});
}

std::string MarkdownPrinter::Finish() {
  // A line that ends makes sure of everything; only its break was not in the text.
  if (at_start_ && !start_.empty()) TakeAtStart('\n');
  if (!mark_.empty()) ResolveMark('\n');
  FlushWord();
  if (!out_.empty() && out_.back() == '\n' && column_ == 0) out_.pop_back();
  out_ += "\x1b[0m";
  return std::exchange(out_, {});
}

void MarkdownPrinter::Take(char32_t c) {
  if (!options_.markdown) {
    c == '\n' ? EndLine() : Put(c);
  } else if (at_start_) {
    TakeAtStart(c);
  } else {
    TakeInline(c);
  }
}

void MarkdownPrinter::TakeAtStart(char32_t c) {
  const size_t indent = std::min(start_.find_first_not_of(U' '), start_.size());
  if (indent == start_.size() && c == ' ') {
    start_ += c;
    return;
  }
  const std::u32string mark = start_.substr(indent);
  if (!Decide(mark, c)) start_ += c;
}

// Whether the kind of the line that begins with `mark` and `next` is known; then both are taken.
bool MarkdownPrinter::Decide(const std::u32string& mark, char32_t next) {
  const bool ends = next == '\n';
  const auto text = [&] {
    Begin("", mark);
    Take(next);
    return true;
  };
  if (!fence_.empty()) {
    if (next == fence_[0] && (mark.empty() || IsAll(mark, next))) return false;
    fence_line_ = ends && IsAll(mark, fence_[0]) && mark.size() >= fence_.size();
    if (fence_line_) fence_.clear();
    raw_line_ = true;
    return text();
  }
  if (mark.empty()) {
    if (ends || std::u32string_view(U"#`~-*+_>|0123456789").find(next) == std::u32string_view::npos) return text();
    return false;
  }
  const char32_t first = mark[0];
  if (first == '|') {
    raw_line_ = true;
    return text();
  }
  if (first == '>') {
    quote_ = true;
    Begin("\u2502 ", {});
    // What is quoted has markers of its own.
    at_start_ = true;
    start_.clear();
    if (next != ' ') Take(next);
    return true;
  }
  if (first == '#') {
    if (next == '#' && mark.size() < 6) return false;
    if (next != ' ') return text();
    heading_ = true;
    Begin("", {});
    Style();
    return true;
  }
  if (first == '`' || first == '~') {
    if (next == first && IsAll(mark, first)) return false;
    if (mark.size() < 3) return text();
    fence_ = mark;
    fence_line_ = raw_line_ = true;
    return text();
  }
  if (IsDigit(first)) {
    if (IsDigit(mark.back())) return mark.size() < 9 && (IsDigit(next) || next == '.' || next == ')') ? false : text();
    if (next != ' ') return text();
    std::string shown(mark.begin(), mark.end());
    Begin(shown + " ", {});
    return true;
  }
  // - * + _: a rule, a bullet, or the beginning of emphasis.
  if (next == first && first != '+' && IsAll(mark, first)) return false;
  if (ends && mark.size() >= 3) {
    std::string rule;
    const int columns = options_.width > 0 ? std::min(options_.width, 40) : 40;
    for (int i = 0; i < columns; ++i) rule += "\u2500";
    Begin(rule, {});
    Take(next);
    return true;
  }
  if (mark.size() == 1 && first != '_' && next == ' ') {
    Begin("\u2022 ", {});
    return true;
  }
  return text();
}

// The line's kind is known: `shown` stands for its marker, `rest` is text of it.
void MarkdownPrinter::Begin(std::string_view shown, const std::u32string& rest) {
  at_start_ = false;
  previous_ = ' ';
  const size_t indent = std::min(start_.find_first_not_of(U' '), start_.size());
  start_.clear();
  if (fence_line_ || raw_line_) Style();
  const std::string lead = std::string(indent, ' ') + std::string(shown);
  int columns = static_cast<int>(indent);
  for (size_t pos = 0; pos < shown.size();) {
    const Utf8Char c = DecodeUtf8(shown, pos);
    columns += Columns(c.code);
    pos += static_cast<size_t>(c.length);
  }
  out_ += lead;
  column_ += columns;
  hang_ += quote_ && shown == "\u2502 " ? lead : std::string(static_cast<size_t>(columns), ' ');
  hang_columns_ += columns;
  for (const char32_t c : rest) Take(c);
}

void MarkdownPrinter::TakeInline(char32_t c) {
  if (raw_line_) {
    c == '\n' ? EndLine() : Put(c);
    return;
  }
  if (!mark_.empty()) {
    if (c == mark_[0] && c != '\\') {
      mark_ += c;
      return;
    }
    if (mark_[0] == '\\' && IsPunctuation(c)) {
      mark_.clear();
      Put(c);
      return;
    }
    ResolveMark(c);
  }
  const bool marks = c == '`' || (code_ticks_ == 0 && (c == '*' || c == '_' || c == '\\'));
  if (marks) {
    mark_ = c;
  } else if (c == '\n') {
    EndLine();
  } else {
    Put(c);
  }
}

// The marker is whole, and `next` follows it.
void MarkdownPrinter::ResolveMark(char32_t next) {
  const std::u32string mark = std::exchange(mark_, {});
  const char32_t c = mark[0];
  if (c == '`') {
    if (code_ticks_ != 0 && code_ticks_ != mark.size()) return PutAll(mark);
    code_ticks_ = code_ticks_ == 0 ? mark.size() : 0;
    return Style();
  }
  if (c == '\\' || mark.size() > 3) return PutAll(mark);
  const bool bold = mark.size() >= 2, italic = mark.size() != 2;
  const bool active = (!bold || bold_) && (!italic || italic_);
  // snake_case and 2*3 are no emphasis; nor is a star with spaces around it.
  const bool inside_word = IsWordChar(previous_) && IsWordChar(next);
  const bool closes = active && !IsSpace(previous_) && !(c == '_' && IsWordChar(next));
  const bool opens = !active && !IsSpace(next) && !(inside_word && (c == '_' || !bold));
  if (!closes && !opens) return PutAll(mark);
  if (bold) bold_ = opens;
  if (italic) italic_ = opens;
  Style();
  previous_ = closes ? 'x' : ' ';
}

void MarkdownPrinter::PutAll(const std::u32string& text) {
  for (const char32_t c : text) Put(c);
}

void MarkdownPrinter::Put(char32_t c) {
  previous_ = c;
  if (c == ' ' && !raw_line_) {
    FlushWord();
    ++spaces_;
    return;
  }
  const int columns = Columns(c);
  // Between wide characters (Chinese, Japanese) a line may be broken anywhere.
  if (columns == 2) FlushWord();
  AppendUtf8(c, &word_);
  word_columns_ += columns;
  if (columns == 2) FlushWord();
}

// The styles that hold from here on.
void MarkdownPrinter::Style() {
  std::string sgr = "\x1b[0";
  if (!options_.style.empty()) sgr += ";" + options_.style;
  if (fence_line_) {
    sgr += ";2";
  } else if (code_ticks_ != 0 || (raw_line_ && !fence_.empty())) {
    sgr += ";36";
  }
  if (heading_ || bold_) sgr += ";1";
  if (heading_) sgr += ";4";
  if (italic_) sgr += ";3";
  word_ += sgr + "m";
}

void MarkdownPrinter::FlushWord() {
  if (word_columns_ > 0) {
    const bool fits = options_.width == 0 || raw_line_ || column_ <= hang_columns_ ||
                      column_ + spaces_ + word_columns_ <= options_.width;
    if (fits) {
      out_.append(static_cast<size_t>(spaces_), ' ');
      column_ += spaces_;
    } else {
      NewLine();
    }
    spaces_ = 0;
  }
  out_ += word_;
  column_ += word_columns_;
  word_.clear();
  word_columns_ = 0;
}

// Within a line of the text.
void MarkdownPrinter::NewLine() {
  out_ += "\n" + hang_;
  column_ = hang_columns_;
}

void MarkdownPrinter::EndLine() {
  const bool styled = heading_ || raw_line_ || code_ticks_ != 0;
  const bool blank = column_ == 0 && word_columns_ == 0;
  FlushWord();
  heading_ = quote_ = raw_line_ = fence_line_ = false;
  code_ticks_ = 0;
  if (blank) {
    // Emphasis that nobody closed ends with its paragraph.
    bold_ = italic_ = false;
  }
  if (styled || blank) {
    Style();
    out_ += std::exchange(word_, {});
  }
  out_ += '\n';
  spaces_ = column_ = hang_columns_ = 0;
  hang_.clear();
  at_start_ = true;
  start_.clear();
  previous_ = ' ';
}

}  // namespace lb::app

// Operations on text that keep the origin of every byte.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/jinja/tainted_text.h"
#include "text/jinja/unicode.h"

namespace lb::text::jinja {

// Like string_view::find, in linear time whatever the texts are.
size_t FindBytes(std::string_view text, std::string_view what, size_t from = 0);

enum class Side { kBoth, kLeft, kRight };

// `chars`: the set of characters to strip; nullptr means white space.
TaintedText Strip(const TaintedText& text, const TaintedText* chars, Side side);

// At most `max_splits` splits (negative: all). An empty separator is the caller's business.
std::vector<TaintedText> Split(const TaintedText& text, std::string_view separator,
                               int64_t max_splits);
std::vector<TaintedText> SplitFromRight(const TaintedText& text, std::string_view separator,
                                        int64_t max_splits);
std::vector<TaintedText> SplitSpace(const TaintedText& text, int64_t max_splits);
std::vector<TaintedText> SplitSpaceFromRight(const TaintedText& text, int64_t max_splits);
std::vector<TaintedText> SplitLines(const TaintedText& text, bool keep_ends);

// Replaces at most `count` (negative: all). The size of the result must not pass `max_bytes`:
// false then.
bool Replace(const TaintedText& text, std::string_view old, const TaintedText& with, int64_t count,
             size_t max_bytes, TaintedText* out);

// Every character through f(char32_t c, std::string* out), which appends what becomes of it.
template <typename F>
TaintedText MapChars(const TaintedText& text, F&& f) {
  TaintedText out;
  out.Reserve(text.size());
  std::string mapped;
  text.ForEachRun([&](std::string_view run, Origin origin) {
    mapped.clear();
    for (size_t pos = 0, length = 0; pos < run.size(); pos += length) {
      const char32_t c = Decode(run, pos, &length);
      if (c == kBadByte) {
        mapped.push_back(run[pos]);
      } else {
        f(c, &mapped);
      }
    }
    out.Append(mapped, origin);
  });
  return out;
}

// One character in the other case; a few become two.
void AppendUpper(char32_t c, std::string* out);
void AppendLower(char32_t c, std::string* out);
void AppendTitle(char32_t c, std::string* out);

TaintedText Upper(const TaintedText& text);
TaintedText Lower(const TaintedText& text);
TaintedText CaseFold(const TaintedText& text);
TaintedText Capitalize(const TaintedText& text);
TaintedText SwapCase(const TaintedText& text);
TaintedText Title(const TaintedText& text);  // str.title()

// &, <, >, ' and " as HTML wants them.
TaintedText EscapeHtml(const TaintedText& text);

// Pads to `width` characters with `fill`, one character of the template's.
enum class Align { kLeft, kRight, kCenter };
TaintedText Pad(const TaintedText& text, int64_t width, std::string_view fill, Align align);

}  // namespace lb::text::jinja

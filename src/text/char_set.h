// A set of characters, written as in a regular expression: "[^\r\n\p{L}\p{N}]", "\p{N}", "\S", "a".
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lb::text {

// Unicode's White_Space property, what \s means in the tokenizers' own libraries.
bool IsUnicodeSpace(char32_t c);
// The script Han, as far as its blocks tell.
bool IsHan(char32_t c);

// Immutable after Parse. General categories are those of utf8proc's Unicode version.
class CharSet {
 public:
  // Reads one set from the front of `pattern` and removes it. Known: literals, ranges, \p{X} and
  // \p{Xy} of the general categories, \p{Han}, \s \S \d \r \n \t \x{HEX}, other escaped
  // punctuation, [...], [^...], and [...&&[^\p{Han}]].
  static Result<CharSet> Parse(std::string_view* pattern);

  bool Contains(char32_t c) const {
    if (c < 128) return (ascii_[c >> 6] >> (c & 63)) & 1;
    return ContainsSlow(c);
  }

 private:
  struct Range {
    char32_t first, last;
  };

  // Adds one item ("\p{L}", "a", "\x{4E00}"); gives its code if it is a single character.
  Result<int64_t> ParseItem(std::string_view* pattern);
  Result<void> ParseBracket(std::string_view* pattern);
  bool ContainsSlow(char32_t c) const;
  void SortRanges();
  void FillAscii();

  std::array<uint64_t, 2> ascii_{};
  uint32_t categories_ = 0;  // bit per utf8proc_category_t
  bool space_ = false;
  bool han_ = false;
  bool negated_ = false;
  bool without_han_ = false;
  std::vector<Range> ranges_;  // sorted once parsed
};

}  // namespace lb::text

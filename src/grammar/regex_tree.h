// A regular expression as a tree.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "grammar/char_set.h"

namespace lb::grammar {

struct RegexNode {
  enum class Kind { kChars, kSequence, kEither, kRepeat };
  Kind kind = Kind::kSequence;
  CharSet chars;                 // kChars
  std::vector<RegexNode> parts;  // kSequence, kEither; one of kRepeat
  int64_t least = 0, most = 0;   // kRepeat; most -1: no limit
};

inline constexpr int kMaxRegexDepth = 64;  // groups in groups

// What is read and refused: grammar/regex.h. `found_anywhere`: where an alternative has no anchor,
// any text may stand before or after it.
Result<RegexNode> ParseRegex(std::string_view pattern, bool found_anywhere);

}  // namespace lb::grammar

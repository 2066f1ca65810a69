// Regular expressions that a grammar can enforce: read, checked, measured and written again for
// XGrammar, which ignores or takes literally some of what it does not know.
//
// What is read: literals, ., classes, \d \D \w \W \s \S, \t \n \r \f \v \0, \xHH, \uHHHH, \u{H...},
// groups (also (?: and named ones), |, * + ? {m} {m,} {m,n} and their lazy forms. ^ and $ only at
// the beginning and the end of a whole alternative.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lb::grammar {

struct Regex {
  std::string text;       // for XGrammar, see below
  int64_t min_chars = 0;  // code points of the shortest match
  int64_t max_chars = 0;  // of the longest; -1: no limit
  int64_t size = 0;       // characters, as often as they are repeated; 8 where one is not ASCII
};

// Above this compiling takes many seconds: each state of the automaton is met with the vocabulary.
inline constexpr int64_t kMaxRegexSize = 1'000;

// kInvalidArgument for bad syntax, kUnsupported for what cannot be enforced (look-around, \b,
// backreferences, \p, flags, anchors in the middle) and for too much; the message names what and at
// which byte. Time in proportion to the expression.
// The whole text matches.
Result<Regex> ReadRegex(std::string_view pattern);
// For the content of a JSON string, in which a match is found (JSON Schema's pattern): where an
// alternative has no anchor, any text may stand. Quotes, backslashes and control characters, which
// JSON escapes, are left out of every class; an expression that needs one is kUnsupported.
Result<Regex> ReadRegexInJsonString(std::string_view pattern);

}  // namespace lb::grammar

// llama.cpp's grammar language (GBNF), for XGrammar.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lb::grammar {

inline constexpr int kMaxGbnfBytes = 256 * 1024;
inline constexpr int kMaxGbnfDepth = 64;            // parentheses in parentheses
inline constexpr int64_t kMaxGbnfRepeats = 20'000;  // of one repetition, and of one in another

// The same language in XGrammar's EBNF, the root rule under the name "root". Read: rules
// `name ::= ...` over several lines, "strings" and [classes] with the escapes \n \r \t \\ \" \[ \]
// \xHH \uHHHH \UHHHHHHHH, the dot, groups, |, * + ? {m} {m,} {m,n}, # comments.
// kInvalidArgument with line and column for bad syntax, an undefined rule, a missing root, a rule
// that begins with itself; kUnsupported for tokens (<...>) and above the limits.
Result<std::string> TranslateGbnf(std::string_view grammar);

}  // namespace lb::grammar

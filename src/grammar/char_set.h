// Sets of characters, as grammars and regular expressions write them.
#pragma once

#include <vector>

namespace lb::grammar {

struct CharRange {
  char32_t first, last;
};
// Sorted, with gaps between the ranges.
using CharSet = std::vector<CharRange>;

// Any ranges as a set.
CharSet Tidy(CharSet ranges);
// The other scalar values (surrogates are none).
CharSet Complement(const CharSet& set);
CharSet Intersect(const CharSet& a, const CharSet& b);

}  // namespace lb::grammar

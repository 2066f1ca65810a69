// SentencePiece's compiled normalization: which stretches of text become which others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lb::text {

// Immutable after Parse, thread-safe. Layout (SentencePiece's normalizer.cc over darts-clone): u32
// size of the trie in bytes, the trie as a double array of u32 units, then the replacements, each
// ended by a zero byte, which the trie's values point into.
class Charsmap {
 public:
  // The longest entry at the front of a text: how many bytes it takes (0: none) and what for.
  struct Match {
    size_t length = 0;
    std::string_view replacement;
  };

  Charsmap() = default;
  static Result<Charsmap> Parse(const std::vector<int64_t>& bytes);

  Match Longest(std::string_view text) const;

 private:
  std::vector<uint32_t> units_;
  std::string replacements_;  // the last byte is zero
};

}  // namespace lb::text

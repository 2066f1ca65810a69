// Finds the tokens that are matched as a whole, before any tokenizing: control tokens where the
// text may hold them, user-defined tokens everywhere.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"
#include "text/trie.h"
#include "text/vocab.h"

namespace lb::text {

// A piece of an input: text to tokenize, or (when `token` >= 0) a token that stands as it is.
struct Fragment {
  std::string_view text;
  TokenId token = -1;
};

// A stretch [begin, end) of the input where control tokens may be spelled.
struct SpecialRange {
  size_t begin = 0, end = 0;
};

// Immutable after construction, thread-safe. `vocab` must outlive this.
class SpecialMatcher {
 public:
  explicit SpecialMatcher(const Vocab& vocab);

  // Cuts `text` at every special token, the leftmost and then longest first. A control or unknown
  // token counts only if it lies in one of `ranges` (ascending, disjoint, adjacent ones joined):
  // so neither a user's text nor a user's text together with the template's around it can make
  // one. Between two tokens there is one fragment of text, whoever wrote its parts.
  std::vector<Fragment> Partition(std::string_view text,
                                  const std::vector<SpecialRange>& ranges) const;

 private:
  const Vocab& vocab_;
  Trie trie_;
};

}  // namespace lb::text

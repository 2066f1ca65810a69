#include "engine/lookup_draft.h"

#include <algorithm>

#include "base/check.h"

namespace lb {

void DraftByLookup(std::span<const TokenId> tokens, int min_match, int max_tokens,
                   std::vector<TokenId>* draft) {
  CHECK_GE(min_match, 1);
  draft->clear();
  const auto size = static_cast<int64_t>(tokens.size());
  int64_t next = -1;  // what followed the best match
  int64_t best = min_match - 1;
  for (int64_t end = size - 1; end > best && best < kMaxLookupMatch; --end) {
    // The match would have to reach over all of the best one, so its far end is looked at first.
    if (tokens[static_cast<size_t>(end - 1 - best)] !=
        tokens[static_cast<size_t>(size - 1 - best)]) {
      continue;
    }
    int64_t length = 0;
    while (length < std::min<int64_t>(end, kMaxLookupMatch) &&
           tokens[static_cast<size_t>(end - 1 - length)] ==
               tokens[static_cast<size_t>(size - 1 - length)]) {
      ++length;
    }
    if (length <= best) continue;
    best = length;
    next = end;
  }
  if (next < 0) return;
  // A match that reaches into the end repeats itself.
  for (int i = 0; i < max_tokens; ++i) {
    const int64_t at = next + i;
    draft->push_back(at < size ? tokens[static_cast<size_t>(at)]
                               : (*draft)[static_cast<size_t>(at - size)]);
  }
}

}  // namespace lb

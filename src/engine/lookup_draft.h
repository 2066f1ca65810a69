// Guesses how an answer goes on from the text before it, without a model (prompt lookup: Saxena
// 2023; llama.cpp's lookup decoding).
#pragma once

#include <span>
#include <vector>

#include "base/strong_id.h"

namespace lb {

// Longer matches are not better ones.
inline constexpr int kMaxLookupMatch = 16;

// Up to `max_tokens` tokens that followed where the last tokens of `tokens` stood before: the
// longest such match of at least `min_match` tokens, of equal ones the latest. Empty when there is
// none. Time linear in `tokens`.
void DraftByLookup(std::span<const TokenId> tokens, int min_match, int max_tokens,
                   std::vector<TokenId>* draft);

}  // namespace lb

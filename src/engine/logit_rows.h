// What a step gives to choose tokens from: whole rows of logits, or the best of each row.
#pragma once

#include <span>

#include "sampling/sampler.h"

namespace lb {

// A view of `count` rows; one of the two spans is empty.
struct LogitRows {
  std::span<const float> all;         // [count, vocab]
  std::span<const TokenLogit> best;   // [count, best]
  size_t count = 0;

  LogitRows Rows(size_t first, size_t rows) const {
    const auto part = [&](const auto& span) {
      const size_t each = span.size() / count;
      return span.subspan(first * each, rows * each);
    };
    return {part(all), part(best), rows};
  }
};

}  // namespace lb

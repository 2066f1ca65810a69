// The tokens before the one to choose, newest first.
#pragma once

#include <algorithm>
#include <span>

#include "base/strong_id.h"

namespace lb::sampling {

struct History {
  std::span<const TokenId> prompt;
  std::span<const TokenId> generated;

  int64_t size() const { return static_cast<int64_t>(prompt.size() + generated.size()); }
  // FromEnd(0) is the newest.
  TokenId FromEnd(int64_t i) const {
    const int64_t num_generated = static_cast<int64_t>(generated.size());
    return i < num_generated
               ? generated[num_generated - 1 - i]
               : prompt[static_cast<int64_t>(prompt.size()) - 1 - (i - num_generated)];
  }
  // How many tokens a window of `last_n` (-1: all) covers.
  int64_t Window(int last_n) const {
    return last_n < 0 ? size() : std::min<int64_t>(size(), last_n);
  }
};

}  // namespace lb::sampling

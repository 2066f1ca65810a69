// Which characters stand side by side inside some token. Between two that never do, no merge can
// ever reach across, so a text may be cut there without changing its tokens.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/utf8.h"

namespace lb::text {

// Filled once, then read from any thread.
class JoinTable {
 public:
  void Add(char32_t left, char32_t right);
  // Notes the pairs of neighbours in a token's text.
  void AddToken(std::string_view text);

  bool Joined(char32_t left, char32_t right) const {
    if ((left | right) < 128) return (ascii_[left * 2 + (right >> 6)] >> (right & 63)) & 1;
    return slots_[SlotOf(Key(left, right))] != kFree;
  }

  // The end of the longest stretch of `text` from `begin` on that no cut may divide.
  size_t StretchEnd(std::string_view text, size_t begin) const {
    Utf8Char c = DecodeUtf8(text, begin);
    size_t pos = begin + static_cast<size_t>(c.length);
    while (pos < text.size()) {
      const Utf8Char next = DecodeUtf8(text, pos);
      if (!c.valid || !next.valid || !Joined(c.code, next.code)) return pos;
      pos += static_cast<size_t>(next.length);
      c = next;
    }
    return pos;
  }

 private:
  static constexpr uint64_t kFree = 0;  // a pair of zero bytes is ASCII and never kept here

  static uint64_t Key(char32_t left, char32_t right) {
    return (static_cast<uint64_t>(left) << 32) | right;
  }
  size_t SlotOf(uint64_t key) const {
    uint64_t hash = key * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
    size_t at = hash & (slots_.size() - 1);
    while (slots_[at] != kFree && slots_[at] != key) at = (at + 1) & (slots_.size() - 1);
    return at;
  }

  std::array<uint64_t, 256> ascii_{};
  std::vector<uint64_t> slots_ = std::vector<uint64_t>(1024);  // a power of two
  size_t taken_ = 0;
};

}  // namespace lb::text

// A place in a text that is being parsed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/utf8.h"

namespace lb::grammar {

// Base of the parsers here.
class TextCursor {
 protected:
  explicit TextCursor(std::string_view text) : text_(text) {}

  bool AtEnd() const { return pos_ >= text_.size(); }
  bool Next(char c) const { return !AtEnd() && text_[pos_] == c; }
  bool Take(std::string_view what) {
    if (!text_.substr(pos_).starts_with(what)) return false;
    pos_ += what.size();
    return true;
  }
  // Digits, if there are any; at most 10^9.
  std::optional<int64_t> TakeNumber() {
    const size_t start = pos_;
    int64_t value = 0;
    while (!AtEnd() && text_[pos_] >= '0' && text_[pos_] <= '9') {
      value = std::min<int64_t>(value * 10 + (text_[pos_++] - '0'), 1'000'000'000);
    }
    if (pos_ == start) return std::nullopt;
    return value;
  }
  // Up to `most` (<= 8) hexadecimal digits; how many there were goes to `*count`.
  uint32_t TakeHex(int most, int* count) {
    uint32_t value = 0;
    for (*count = 0; *count < most && !AtEnd(); ++*count, ++pos_) {
      const char c = text_[pos_];
      if (c >= '0' && c <= '9') {
        value = value * 16 + static_cast<uint32_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        value = value * 16 + static_cast<uint32_t>(c - 'a' + 10);
      } else if (c >= 'A' && c <= 'F') {
        value = value * 16 + static_cast<uint32_t>(c - 'A' + 10);
      } else {
        break;
      }
    }
    return value;
  }
  // The next character; nothing, and nothing is taken, where the bytes are not UTF-8.
  std::optional<char32_t> TakeCharacter() {
    const Utf8Char c = DecodeUtf8(text_, pos_);
    if (!c.valid) return std::nullopt;
    pos_ += static_cast<size_t>(c.length);
    return c.code;
  }
  static bool IsScalar(uint32_t code) {
    return code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
  }

  const std::string_view text_;
  size_t pos_ = 0;
};

}  // namespace lb::grammar

// UTF-8: decoding, validation, and what to do with bytes that are none. "Ill-formed" and "maximal
// subpart" as the Unicode standard defines them (section 3.9, table 3-7, definition D93b).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lb {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

// What stands at one position of a text.
struct Utf8Char {
  char32_t code = kReplacementCharacter;
  int length = 0;  // bytes: of the character, or of the maximal subpart of an ill-formed sequence
  bool valid = false;
};

// What begins at `pos` (< text.size()); at least one byte long. `code` is U+FFFD when ill-formed.
Utf8Char DecodeUtf8Slow(std::string_view text, size_t pos);
inline Utf8Char DecodeUtf8(std::string_view text, size_t pos) {
  const auto byte = static_cast<unsigned char>(text[pos]);
  if (byte < 0x80) return {byte, 1, true};
  return DecodeUtf8Slow(text, pos);
}

// The start of the character that ends at `pos` (> 0). `text` must be well-formed.
inline size_t PreviousUtf8(std::string_view text, size_t pos) {
  do {
    --pos;
  } while (pos > 0 && (static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80);
  return pos;
}

// The number of leading bytes that are well-formed.
size_t ValidUtf8Prefix(std::string_view text);
inline bool IsValidUtf8(std::string_view text) { return ValidUtf8Prefix(text) == text.size(); }

// The number of bytes at the end (0 to 3) that are the beginning of a character whose rest may
// still come.
size_t IncompleteUtf8Tail(std::string_view text);

// `code` must be a scalar value: at most 0x10FFFF and no surrogate.
void AppendUtf8(char32_t code, std::string* out);

// `text` with each maximal subpart of an ill-formed sequence replaced by one U+FFFD.
std::string ToValidUtf8(std::string_view text);

}  // namespace lb

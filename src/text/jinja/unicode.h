// Code points of UTF-8 text, with Python's notion of character classes. Bytes that are not UTF-8
// count as one character each and are never changed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lb::text::jinja {

// What Decode gives for a byte that starts no character.
inline constexpr char32_t kBadByte = 0x110000;

// The character at `pos` (< bytes.size()); `*length` becomes its number of bytes.
char32_t Decode(std::string_view bytes, size_t pos, size_t* length);
void AppendUtf8(char32_t code_point, std::string* out);

size_t CountChars(std::string_view bytes);
// The byte at which character number `index` starts; bytes.size() from the end on.
size_t ByteOffset(std::string_view bytes, size_t index);
// The start of the character that ends at `pos` (> 0).
size_t PreviousChar(std::string_view bytes, size_t pos);

bool IsSpace(char32_t c);
bool IsAlpha(char32_t c);
bool IsDecimal(char32_t c);
bool IsUpper(char32_t c);
bool IsLower(char32_t c);
bool IsCased(char32_t c);
bool IsPrintable(char32_t c);
char32_t ToUpper(char32_t c);
char32_t ToLower(char32_t c);
char32_t ToTitle(char32_t c);

// The first byte at or after `pos` that is not white space; the end of the text without white
// space at its end (not below `floor`).
size_t SkipSpace(std::string_view bytes, size_t pos);
size_t TrimEnd(std::string_view bytes, size_t floor = 0);

}  // namespace lb::text::jinja

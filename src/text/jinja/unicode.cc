#include "text/jinja/unicode.h"

#include <utf8proc.h>

namespace lb::text::jinja {
namespace {

bool IsTail(unsigned char byte) { return (byte & 0xC0) == 0x80; }

utf8proc_category_t Category(char32_t c) {
  return c < kBadByte ? utf8proc_category(static_cast<utf8proc_int32_t>(c)) : UTF8PROC_CATEGORY_CN;
}

char32_t Map(char32_t c, utf8proc_int32_t (*function)(utf8proc_int32_t)) {
  if (c >= kBadByte) return c;
  return static_cast<char32_t>(function(static_cast<utf8proc_int32_t>(c)));
}

}  // namespace

char32_t Decode(std::string_view bytes, size_t pos, size_t* length) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[pos + i]); };
  const unsigned char lead = at(0);
  *length = 1;
  if (lead < 0x80) return lead;
  const size_t count = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || bytes.size() - pos < count) return kBadByte;
  char32_t c = lead & (0xFF >> (count + 1));
  for (size_t i = 1; i < count; ++i) {
    if (!IsTail(at(i))) return kBadByte;
    c = c << 6 | (at(i) & 0x3F);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (c < kSmallest[count] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return kBadByte;
  *length = count;
  return c;
}

void AppendUtf8(char32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out->push_back(static_cast<char>(0xC0 | c >> 6));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | c >> 12));
    out->push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else {
    out->push_back(static_cast<char>(0xF0 | c >> 18));
    out->push_back(static_cast<char>(0x80 | (c >> 12 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
}

size_t CountChars(std::string_view bytes) {
  size_t count = 0, length = 0;
  for (size_t pos = 0; pos < bytes.size(); pos += length, ++count) Decode(bytes, pos, &length);
  return count;
}

size_t ByteOffset(std::string_view bytes, size_t index) {
  size_t pos = 0, length = 0;
  for (; index > 0 && pos < bytes.size(); --index, pos += length) Decode(bytes, pos, &length);
  return pos;
}

size_t PreviousChar(std::string_view bytes, size_t pos) {
  size_t length = 0;
  for (size_t back = 2; back <= 4 && back <= pos; ++back) {
    if (IsTail(bytes[pos - back])) continue;
    Decode(bytes, pos - back, &length);
    if (length == back) return pos - back;
    break;
  }
  return pos - 1;
}

bool IsSpace(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool IsAlpha(char32_t c) {
  const utf8proc_category_t category = Category(c);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool IsDecimal(char32_t c) { return Category(c) == UTF8PROC_CATEGORY_ND; }

// The few letters below have the property Other_Uppercase or Other_Lowercase.
bool IsUpper(char32_t c) {
  return Category(c) == UTF8PROC_CATEGORY_LU || (c >= 0x2160 && c <= 0x216F) ||
         (c >= 0x24B6 && c <= 0x24CF);
}

bool IsLower(char32_t c) {
  return Category(c) == UTF8PROC_CATEGORY_LL || c == 0xAA || c == 0xBA ||
         (c >= 0x2170 && c <= 0x217F) || (c >= 0x24D0 && c <= 0x24E9);
}

bool IsCased(char32_t c) { return IsUpper(c) || IsLower(c) || Category(c) == UTF8PROC_CATEGORY_LT; }

bool IsPrintable(char32_t c) {
  if (c == ' ') return true;
  switch (Category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

char32_t ToUpper(char32_t c) { return Map(c, utf8proc_toupper); }
char32_t ToLower(char32_t c) { return Map(c, utf8proc_tolower); }
char32_t ToTitle(char32_t c) { return Map(c, utf8proc_totitle); }

size_t SkipSpace(std::string_view bytes, size_t pos) {
  size_t length = 0;
  while (pos < bytes.size() && IsSpace(Decode(bytes, pos, &length))) pos += length;
  return pos;
}

size_t TrimEnd(std::string_view bytes, size_t floor) {
  size_t end = bytes.size(), length = 0;
  while (end > floor) {
    const size_t start = PreviousChar(bytes, end);
    if (start < floor || !IsSpace(Decode(bytes, start, &length))) break;
    end = start;
  }
  return end;
}

}  // namespace lb::text::jinja

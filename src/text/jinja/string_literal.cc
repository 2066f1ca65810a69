#include "text/jinja/string_literal.h"

#include <charconv>

#include "text/jinja/unicode.h"

namespace lb::text::jinja {
namespace {

bool ReadHex(std::string_view literal, size_t* pos, size_t digits, char32_t* c) {
  if (literal.size() - *pos < digits) return false;
  uint32_t value = 0;
  const char* begin = literal.data() + *pos;
  const auto read = std::from_chars(begin, begin + digits, value, 16);
  if (read.ptr != begin + digits || value > 0x10FFFF) return false;
  *pos += digits;
  *c = value;
  return true;
}

char Simple(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case 'a':
      return '\a';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return '\0';
  }
}

}  // namespace

bool Unescape(std::string_view literal, std::string* out) {
  for (size_t pos = 0; pos < literal.size();) {
    const char c = literal[pos++];
    if (c != '\\' || pos == literal.size()) {
      out->push_back(c);
      continue;
    }
    const char kind = literal[pos++];
    if (const char simple = Simple(kind)) {
      out->push_back(simple);
    } else if (kind == '\n') {
      // A line continued.
    } else if (kind == 'x' || kind == 'u' || kind == 'U') {
      char32_t value = 0;
      if (!ReadHex(literal, &pos, kind == 'x' ? 2 : kind == 'u' ? 4 : 8, &value)) return false;
      // A pair of surrogates is one character; Python would keep the halves and fail on output.
      char32_t low = 0;
      size_t next = pos + 2;
      if (value >= 0xD800 && value < 0xDC00 && literal.substr(pos).starts_with("\\u") &&
          ReadHex(literal, &next, 4, &low) && low >= 0xDC00 && low < 0xE000) {
        value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
        pos = next;
      }
      AppendUtf8(value >= 0xD800 && value < 0xE000 ? 0xFFFD : value, out);
    } else if (kind >= '0' && kind <= '7') {
      char32_t value = kind - '0';
      for (int i = 0; i < 2 && pos < literal.size() && literal[pos] >= '0' && literal[pos] <= '7';
           ++i) {
        value = value * 8 + (literal[pos++] - '0');
      }
      AppendUtf8(value, out);
    } else {
      out->push_back('\\');
      out->push_back(kind);
    }
  }
  return true;
}

}  // namespace lb::text::jinja

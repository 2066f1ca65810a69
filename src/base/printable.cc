#include "base/printable.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace lb {

std::string Printable(std::string_view text, size_t max_bytes) {
  std::string out;
  size_t i = 0;
  while (i < text.size()) {
    const Utf8Char c = DecodeUtf8(text, i);
    // Byte by byte where it is no character.
    const auto step = c.valid ? static_cast<size_t>(c.length) : 1;
    const auto byte = static_cast<unsigned char>(text[i]);
    std::string shown;
    if (byte == '\n') {
      shown = "\\n";
    } else if (byte == '\t') {
      shown = "\\t";
    } else if (!c.valid || byte < 0x20 || byte == 0x7f) {
      shown = fmt::format("\\x{:02x}", byte);
    } else if (c.code >= 0x80 && c.code < 0xa0) {
      // The second set of control characters, some of which terminals obey.
      shown = fmt::format("\\u{:04x}", static_cast<uint32_t>(c.code));
    } else {
      shown = text.substr(i, step);
    }
    if (out.size() + shown.size() > max_bytes) break;
    out += shown;
    i += step;
  }
  if (i < text.size()) out += "...";
  return out;
}

}  // namespace lb

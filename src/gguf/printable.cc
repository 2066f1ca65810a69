#include "gguf/printable.h"

#include <fmt/format.h>
#include <utf8proc.h>

namespace lb::gguf {

std::string Printable(std::string_view text, size_t max_bytes) {
  std::string out;
  size_t i = 0;
  while (i < text.size()) {
    const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data() + i);
    utf8proc_int32_t code_point = 0;
    const utf8proc_ssize_t length =
        utf8proc_iterate(at, static_cast<utf8proc_ssize_t>(text.size() - i), &code_point);
    const size_t step = length > 0 ? static_cast<size_t>(length) : 1;
    const auto byte = static_cast<unsigned char>(text[i]);
    std::string shown;
    if (byte == '\n') {
      shown = "\\n";
    } else if (byte == '\t') {
      shown = "\\t";
    } else if (length <= 0 || byte < 0x20 || byte == 0x7f) {
      shown = fmt::format("\\x{:02x}", byte);
    } else if (code_point >= 0x80 && code_point < 0xa0) {
      // The second set of control characters, some of which terminals obey.
      shown = fmt::format("\\u{:04x}", code_point);
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

}  // namespace lb::gguf

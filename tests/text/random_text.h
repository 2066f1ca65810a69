// Random text for the tokenizer tests: every plane of Unicode, and thick with what splitters care
// about.
#pragma once

#include <iterator>
#include <random>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace lb::text {

class RandomText {
 public:
  explicit RandomText(uint32_t seed) : random_(seed) {}

  size_t Below(size_t n) { return random_() % n; }

  // Any scalar value, the common blocks more often.
  char32_t Character() {
    constexpr char32_t kEnds[] = {0x80, 0x80, 0x250, 0x600, 0x3100, 0xFFFF, 0x20000, 0x110000};
    while (true) {
      const char32_t c = static_cast<char32_t>(Below(kEnds[Below(std::size(kEnds))]));
      if (c < 0xD800 || c > 0xDFFF) return c;
    }
  }

  // Well-formed UTF-8 of up to `parts` parts.
  std::string Text(size_t parts) {
    static constexpr std::string_view kParts[] = {
        " ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n", " \n", "\n ", "\xC2\xA0", "\xE3\x80\x80",
        "\xE2\x80\xA8", "'s", "'S", "'t", "'re", "'VE", "'m", "'ll", "'Ll", "'d", "'x", "'", "''",
        "a", "b", "Z", "hello", "World", "THE", "iPhone", "_", "1", "22", "333", "4444", "1234567",
        "\xD9\xA3", "\xC2\xBD", "\xE2\x85\xAB", "!", "?", "...", ",", "-", "--", "(", ")", "[", "]",
        "{", "}", "/", "\\", "|", "<", ">", "=", "+", "$", "^", "~", "`", "#", "@", "*", "&", "%",
        "<|", "|>", "im_end", "\xC3\xA9", "e\xCC\x81", "\xCC\x81", "\xC3\x89", "\xC7\x85",
        "\xCA\xB0", "\xE4\xBD\xA0", "\xE6\x88\x91\xE6\x83\xB3", "\xE3\x80\x85", "\xE3\x80\x87",
        "\xE3\x81\xAE", "\xE3\x82\xA2", "\xED\x95\x9C\xEA\xB5\xAD", "\xEF\xBC\x81", "\xE3\x80\x82",
        "\xE2\x80\x99", "\xE2\x80\xA6", "\xF0\x9F\x98\x80", "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD",
        "\xE2\x80\x8D", "\xE0\xA4\xA8\xE0\xA5\x8D", "\xD0\x9D\xD0\xB5", "\xD7\xA9\xD7\x81",
        "\xE1\x9E\x80\xE1\x9E\xB6", "\xF0\x90\x90\x80", "IMGIMGABZ", "<sentinel:12>"};
    std::string text;
    const size_t count = Below(parts) + 1;
    for (size_t i = 0; i < count; ++i) {
      if (Below(5) == 0) {
        AppendUtf8(Character(), &text);
      } else {
        text += kParts[Below(std::size(kParts))];
      }
    }
    return text;
  }

  // Any bytes, among them much that is nearly UTF-8.
  std::string Bytes(size_t parts) {
    std::string bytes = Text(parts);
    for (size_t i = Below(4) + 1; i > 0; --i) {
      const size_t at = Below(bytes.size() + 1);
      if (Below(2) == 0 || at == bytes.size()) {
        bytes.insert(at, 1, static_cast<char>(Below(256)));
      } else {
        bytes.erase(at, 1);
      }
    }
    return bytes;
  }

 private:
  std::mt19937 random_;
};

}  // namespace lb::text

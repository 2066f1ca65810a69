#include "text/byte_alphabet.h"

#include <array>

#include "base/utf8.h"

namespace lb::text {
namespace {

// Bytes that are printable in Latin-1 stand for themselves; the others follow from U+0100 on.
constexpr bool StandsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
         (byte >= 0xAE && byte <= 0xFF);
}

// From character to byte, -1 outside the alphabet.
constexpr std::array<int, 0x144> MakeTable() {
  std::array<int, 0x144> table{};
  for (int& byte : table) byte = -1;
  size_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    table[StandsForItself(byte) ? static_cast<size_t>(byte) : next++] = byte;
  }
  return table;
}

constexpr std::array<int, 0x144> kByteOf = MakeTable();

}  // namespace

void AppendBytesOfAlphabet(std::string_view text, std::string* bytes, bool* all) {
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    const auto length = static_cast<size_t>(c.length);
    const int byte = c.valid && c.code < kByteOf.size() ? kByteOf[c.code] : -1;
    if (byte >= 0) {
      bytes->push_back(static_cast<char>(byte));
    } else {
      bytes->append(text.substr(pos, length));
      if (all != nullptr) *all = false;
    }
    pos += length;
  }
}

}  // namespace lb::text

#include "base/utf8.h"

#include <cstring>

namespace lb {
namespace {

// How a lead byte goes on: the length of its character, and the bounds of the second byte (later
// ones are 80..BF). Length 0: no character begins so. Unicode 15, table 3-7.
struct Lead {
  int length;
  unsigned char low, high;
};

Lead LeadOf(unsigned char byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Char DecodeUtf8Slow(std::string_view text, size_t pos) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(pos) < 0x80) return {byte(pos), 1, true};
  const Lead lead = LeadOf(byte(pos));
  if (lead.length == 0) return {kReplacementCharacter, 1, false};
  char32_t code = byte(pos) & (0x7F >> lead.length);
  for (int i = 1; i < lead.length; ++i) {
    if (pos + i >= text.size()) return {kReplacementCharacter, i, false};
    const unsigned char next = byte(pos + i);
    const bool fits = i == 1 ? next >= lead.low && next <= lead.high : (next & 0xC0) == 0x80;
    if (!fits) return {kReplacementCharacter, i, false};
    code = (code << 6) | (next & 0x3F);
  }
  return {code, lead.length, true};
}

size_t ValidUtf8Prefix(std::string_view text) {
  size_t pos = 0;
  while (pos < text.size()) {
    uint64_t eight;
    if (pos + sizeof(eight) <= text.size()) {  // most text is ASCII
      std::memcpy(&eight, text.data() + pos, sizeof(eight));
      if ((eight & 0x8080808080808080u) == 0) {
        pos += sizeof(eight);
        continue;
      }
    }
    const Utf8Char c = DecodeUtf8(text, pos);
    if (!c.valid) return pos;
    pos += static_cast<size_t>(c.length);
  }
  return pos;
}

size_t IncompleteUtf8Tail(std::string_view text) {
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const size_t pos = text.size() - back;
    const auto byte = static_cast<unsigned char>(text[pos]);
    if ((byte & 0xC0) == 0x80) continue;
    const Utf8Char c = DecodeUtf8(text, pos);
    const bool unfinished = !c.valid && LeadOf(byte).length > c.length &&
                            static_cast<size_t>(c.length) == back;
    return unfinished ? back : 0;
  }
  return 0;
}

void AppendUtf8(char32_t code, std::string* out) {
  const auto tail = [&](int shift) {
    out->push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3F)));
  };
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out->push_back(static_cast<char>(0xC0 | (code >> 6)));
    tail(0);
  } else if (code < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | (code >> 12)));
    tail(6);
    tail(0);
  } else {
    out->push_back(static_cast<char>(0xF0 | (code >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::string ToValidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t good = ValidUtf8Prefix(text);
    out.append(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty()) break;
    out.append("\xEF\xBF\xBD");
    text.remove_prefix(static_cast<size_t>(DecodeUtf8(text, 0).length));
  }
  return out;
}

}  // namespace lb

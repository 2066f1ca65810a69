#include "text/join_table.h"

#include <utility>

namespace lb::text {

void JoinTable::Add(char32_t left, char32_t right) {
  if ((left | right) < 128) {
    ascii_[left * 2 + (right >> 6)] |= uint64_t{1} << (right & 63);
    return;
  }
  uint64_t& slot = slots_[SlotOf(Key(left, right))];
  if (slot != kFree) return;
  slot = Key(left, right);
  if (2 * ++taken_ <= slots_.size()) return;
  std::vector<uint64_t> old(slots_.size() * 2);
  std::swap(old, slots_);
  for (const uint64_t key : old) {
    if (key != kFree) slots_[SlotOf(key)] = key;
  }
}

void JoinTable::AddToken(std::string_view text) {
  char32_t last = 0;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    if (pos > 0) Add(last, c.code);
    last = c.code;
    pos += static_cast<size_t>(c.length);
  }
}

}  // namespace lb::text

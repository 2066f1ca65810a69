#include "text/string_table.h"

#include <bit>

namespace lb::text {

// Eight bytes at a time, multiplied and folded; the constant is 2^64 over the golden ratio.
uint64_t StringTable::Hash(std::string_view text) {
  constexpr uint64_t kFactor = 0x9E3779B97F4A7C15u;
  uint64_t hash = text.size() * kFactor;
  const char* at = text.data();
  size_t left = text.size();
  while (left > 0) {
    uint64_t word = 0;
    const size_t take = left < sizeof(word) ? left : sizeof(word);
    std::memcpy(&word, at, take);
    hash = (std::rotl(hash, 23) ^ word) * kFactor;
    hash ^= hash >> 32;
    at += take;
    left -= take;
  }
  return hash;
}

void StringTable::Grow(size_t slots) {
  slots_.assign(slots, Slot{});
  for (uint32_t i = 0; i < size(); ++i) {
    const uint64_t hash = Hash(Text(i));
    size_t at = hash & (slots - 1);
    while (slots_[at].index != kNone) at = (at + 1) & (slots - 1);
    slots_[at] = {static_cast<uint32_t>(hash >> 32), i};
  }
}

void StringTable::Reserve(size_t strings, size_t bytes) {
  arena_.reserve(bytes);
  begin_.reserve(strings + 1);
  const size_t slots = std::bit_ceil(strings * 2 + 2);
  if (slots > slots_.size()) Grow(slots);
}

size_t StringTable::SlotOf(std::string_view text, uint64_t hash) const {
  const auto tag = static_cast<uint32_t>(hash >> 32);
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at].index != kNone &&
         (slots_[at].tag != tag || Text(slots_[at].index) != text)) {
    at = (at + 1) & (slots_.size() - 1);
  }
  return at;
}

uint32_t StringTable::Add(std::string_view text) {
  if (2 * (size_t{size()} + 1) > slots_.size()) Grow(slots_.empty() ? 64 : slots_.size() * 2);
  const uint64_t hash = Hash(text);
  Slot& slot = slots_[SlotOf(text, hash)];
  if (slot.index == kNone) {
    slot = {static_cast<uint32_t>(hash >> 32), size()};
    arena_.append(text);
    begin_.push_back(arena_.size());
  }
  return slot.index;
}

uint32_t StringTable::Find(std::string_view text) const {
  if (slots_.empty()) return kNone;
  return slots_[SlotOf(text, Hash(text))].index;
}

}  // namespace lb::text

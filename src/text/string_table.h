// Numbers byte strings: the n-th new string is n. The vocabulary's look-up from text to symbol.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace lb::text {

// Filled once, then read from any thread. All text lies in one arena; a look-up touches one slot
// and, on a hit, the text.
class StringTable {
 public:
  static constexpr uint32_t kNone = static_cast<uint32_t>(-1);

  // Room for `strings` strings of `bytes` bytes together, without growing.
  void Reserve(size_t strings, size_t bytes);
  // The number of `text`, new or not.
  uint32_t Add(std::string_view text);
  // kNone when absent.
  uint32_t Find(std::string_view text) const;
  // Valid until the next Add.
  std::string_view Text(uint32_t index) const {
    return std::string_view(arena_).substr(begin_[index], begin_[index + 1] - begin_[index]);
  }
  uint32_t size() const { return static_cast<uint32_t>(begin_.size()) - 1; }

 private:
  struct Slot {
    uint32_t tag = 0;
    uint32_t index = kNone;
  };

  static uint64_t Hash(std::string_view text);
  // The slot where `text` is, or the free one where it belongs.
  size_t SlotOf(std::string_view text, uint64_t hash) const;
  void Grow(size_t slots);

  std::string arena_;
  std::vector<size_t> begin_{0};
  std::vector<Slot> slots_;  // a power of two
};

}  // namespace lb::text

// Reads little-endian numbers and strings from bytes, front to back, never past their end.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace lb::gguf {

static_assert(std::endian::native == std::endian::little);

// Plain data for one parse. A read that does not fit returns false, moves nothing, and leaves in
// needed() how long the bytes would have to be.
class Cursor {
 public:
  explicit Cursor(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <typename T>
  requires std::is_arithmetic_v<T>
  bool Take(T* value) {
    if (!Fits(sizeof(T))) return false;
    std::memcpy(value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return true;
  }

  // A u64 length and as many bytes; the view is into the bytes read.
  bool TakeString(std::string_view* text) {
    const uint64_t start = position_;
    uint64_t length = 0;
    if (!Take(&length)) return false;
    if (!Fits(length)) {
      position_ = start;
      return false;
    }
    *text = {reinterpret_cast<const char*>(bytes_.data()) + position_, static_cast<size_t>(length)};
    position_ += length;
    return true;
  }

  // Whether `count` things of at least `bytes_each` bytes can still follow.
  bool Fits(uint64_t count, uint64_t bytes_each = 1) {
    const Wide wanted = static_cast<Wide>(count) * bytes_each;
    if (wanted <= remaining()) return true;
    needed_ = wanted + position_;
    return false;
  }

  // Wide enough for any count times any size, so that a lie is printed as it is.
  __extension__ using Wide = unsigned __int128;
  Wide needed() const { return needed_; }
  uint64_t position() const { return position_; }
  uint64_t size() const { return bytes_.size(); }
  uint64_t remaining() const { return bytes_.size() - position_; }
  const uint8_t* here() const { return bytes_.data() + position_; }
  void Skip(uint64_t count) { position_ += count; }  // after Fits(count)

 private:
  std::span<const uint8_t> bytes_;
  uint64_t position_ = 0;
  Wide needed_ = 0;
};

}  // namespace lb::gguf

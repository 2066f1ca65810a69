#include "text/charsmap.h"

namespace lb::text {
namespace {

// The parts of a unit of darts-clone's double array.
bool HasLeaf(uint32_t unit) { return ((unit >> 8) & 1) != 0; }
uint32_t LabelOf(uint32_t unit) { return unit & ((uint32_t{1} << 31) | 0xFF); }
uint32_t OffsetOf(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
uint32_t ValueOf(uint32_t unit) { return unit & ((uint32_t{1} << 31) - 1); }

}  // namespace

Result<Charsmap> Charsmap::Parse(const std::vector<int64_t>& bytes) {
  constexpr char kKey[] = "tokenizer.ggml.precompiled_charsmap";
  const auto word = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) {
      value |= static_cast<uint32_t>(bytes[at + i] & 0xFF) << (8 * i);
    }
    return value;
  };
  Charsmap map;
  if (bytes.empty()) return map;
  const size_t trie_bytes = bytes.size() < 4 ? 0 : word(0);
  if (bytes.size() < 4 || trie_bytes % 4 != 0 || trie_bytes > bytes.size() - 4) {
    return Fail(ErrorCode::kCorrupt, "{}: {} bytes cannot hold a trie of {} bytes", kKey,
                bytes.size(), trie_bytes);
  }
  map.units_.reserve(trie_bytes / 4);
  for (size_t at = 4; at < 4 + trie_bytes; at += 4) map.units_.push_back(word(at));
  for (size_t at = 4 + trie_bytes; at < bytes.size(); ++at) {
    map.replacements_.push_back(static_cast<char>(bytes[at] & 0xFF));
  }
  if (!map.replacements_.ends_with('\0')) map.replacements_.push_back('\0');
  return map;
}

Charsmap::Match Charsmap::Longest(std::string_view text) const {
  Match best;
  if (units_.empty()) return best;
  size_t node = OffsetOf(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || LabelOf(units_[node]) != byte) break;
    const bool leaf = HasLeaf(units_[node]);
    node ^= OffsetOf(units_[node]);
    if (!leaf) continue;
    if (node >= units_.size()) break;
    const uint32_t at = ValueOf(units_[node]);
    if (at < replacements_.size()) best = {i + 1, std::string_view(replacements_.data() + at)};
  }
  return best;
}

}  // namespace lb::text

#include "text/trie.h"

#include <algorithm>

namespace lb::text {

Trie::Trie(std::vector<std::pair<std::string_view, int32_t>> entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  entries.erase(std::unique(entries.begin(), entries.end(),
                            [](const auto& a, const auto& b) { return a.first == b.first; }),
                entries.end());
  // A node is the range of keys that share a prefix of `depth` bytes.
  struct Range {
    uint32_t begin, end, depth;
  };
  std::vector<Range> ranges{{0, static_cast<uint32_t>(entries.size()), 0}};
  value_.push_back(-1);
  label_.push_back(0);
  for (size_t node = 0; node < ranges.size(); ++node) {
    const Range range = ranges[node];
    first_child_.push_back(static_cast<uint32_t>(ranges.size()));
    uint32_t i = range.begin;
    if (i < range.end && entries[i].first.size() == range.depth) {
      if (node != 0) value_[node] = entries[i].second;
      ++i;
    }
    while (i < range.end) {
      const char label = entries[i].first[range.depth];
      uint32_t end = i + 1;
      while (end < range.end && entries[end].first[range.depth] == label) ++end;
      ranges.push_back({i, end, range.depth + 1});
      value_.push_back(-1);
      label_.push_back(static_cast<unsigned char>(label));
      i = end;
    }
  }
  first_child_.push_back(static_cast<uint32_t>(ranges.size()));
  root_.assign(256, 0);
  for (uint32_t child = first_child_[0]; child < first_child_[1]; ++child) {
    root_[label_[child]] = child;
  }
}

uint32_t Trie::Child(uint32_t node, unsigned char byte) const {
  const auto begin = label_.begin() + first_child_[node];
  const auto end = label_.begin() + first_child_[node + 1];
  const auto at = std::lower_bound(begin, end, byte);
  return at != end && *at == byte ? static_cast<uint32_t>(at - label_.begin()) : 0;
}

}  // namespace lb::text

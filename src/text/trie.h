// A set of byte strings, each with a value, for matching prefixes of a text.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace lb::text {

// Immutable after construction, thread-safe. About 10 bytes per node.
class Trie {
 public:
  Trie() = default;
  // Of equal keys the first in order counts; empty keys are ignored. Values must not be negative.
  explicit Trie(std::vector<std::pair<std::string_view, int32_t>> entries);

  bool empty() const { return value_.size() <= 1; }
  // Whether any key begins with `byte`.
  bool HasFirst(unsigned char byte) const { return !empty() && root_[byte] != 0; }

  // Calls found(length, value) for each key that is a prefix of `text`, shortest first.
  template <typename F>
  void ForEachPrefix(std::string_view text, F&& found) const {
    if (empty() || text.empty()) return;
    uint32_t node = root_[static_cast<unsigned char>(text[0])];
    for (size_t length = 1; node != 0; ++length) {
      if (value_[node] >= 0) found(length, value_[node]);
      if (length == text.size()) return;
      node = Child(node, static_cast<unsigned char>(text[length]));
    }
  }

 private:
  // The child of `node` along `byte`, or 0.
  uint32_t Child(uint32_t node, unsigned char byte) const;

  // Nodes in breadth-first order, so the children of one lie side by side, sorted by label.
  std::vector<uint32_t> first_child_;  // [nodes + 1]
  std::vector<int32_t> value_;         // [nodes], -1 where no key ends
  std::vector<unsigned char> label_;   // [nodes]
  std::vector<uint32_t> root_;         // [256] children of the root
};

}  // namespace lb::text

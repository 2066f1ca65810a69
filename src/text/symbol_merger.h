// The loop that byte-pair encoding and SentencePiece share: merge the best pair of neighbours until
// none can be merged. O(n log n) in time, flat in stack, also for one word of a megabyte.
#pragma once

#include <cstdint>
#include <vector>

#include "text/merge_queue.h"

namespace lb::text {

// What a pair of neighbours becomes. Lower ranks are merged first, of equal ones the leftmost.
struct Merge {
  static constexpr uint32_t kNever = static_cast<uint32_t>(-1);
  uint32_t rank = kNever;
  uint32_t symbol = 0;
};

// One symbol: a stretch of the text, known by a number to whoever asked for the merging.
struct Symbol {
  uint32_t id = 0;
  uint32_t begin = 0;  // byte offset in the text
};

// Scratch of one call of Encode, reused over its words.
class SymbolMerger {
 public:
  // The symbols to merge; what is left after Run, in order.
  std::vector<Symbol>& symbols() { return symbols_; }

  // `find(left, right, end)` gives the Merge of two neighbours; `right` ends at byte `end`.
  // `text_end` is where the last symbol ends.
  template <typename Find>
  void Run(uint32_t text_end, Find&& find) {
    if (symbols_.size() <= kSmall) {
      RunSmall(text_end, find);
    } else {
      RunLarge(text_end, find);
    }
  }

 private:
  // Up to here a scan per merge is cheaper than a queue.
  static constexpr size_t kSmall = 40;
  static constexpr uint32_t kEnd = static_cast<uint32_t>(-1);

  template <typename Find>
  void RunSmall(uint32_t text_end, Find& find) {
    const auto end_of = [&](size_t i) {
      return i + 1 < symbols_.size() ? symbols_[i + 1].begin : text_end;
    };
    merges_.clear();
    for (size_t i = 0; i + 1 < symbols_.size(); ++i) {
      merges_.push_back(find(symbols_[i], symbols_[i + 1], end_of(i + 1)));
    }
    while (!merges_.empty()) {
      size_t best = 0;
      for (size_t i = 1; i < merges_.size(); ++i) {
        if (merges_[i].rank < merges_[best].rank) best = i;
      }
      if (merges_[best].rank == Merge::kNever) break;
      symbols_[best].id = merges_[best].symbol;
      symbols_.erase(symbols_.begin() + static_cast<std::ptrdiff_t>(best) + 1);
      merges_.erase(merges_.begin() + static_cast<std::ptrdiff_t>(best));
      if (best > 0) {
        merges_[best - 1] = find(symbols_[best - 1], symbols_[best], end_of(best));
      }
      if (best < merges_.size()) {
        merges_[best] = find(symbols_[best], symbols_[best + 1], end_of(best + 1));
      }
    }
  }

  // A linked list of symbols, and a queue of (rank, place of the left one). An entry holds as long
  // as the pair at its place still has its rank; a later change leaves it to be skipped.
  template <typename Find>
  void RunLarge(uint32_t text_end, Find& find) {
    const auto count = static_cast<uint32_t>(symbols_.size());
    next_.resize(count);
    previous_.resize(count);
    merges_.resize(count);
    MergeQueue queue;
    const auto look = [&](uint32_t i) {
      const uint32_t right = next_[i];
      if (right == kEnd) {
        merges_[i] = Merge{};
        return;
      }
      const uint32_t end = next_[right] == kEnd ? text_end : symbols_[next_[right]].begin;
      merges_[i] = find(symbols_[i], symbols_[right], end);
    };
    const auto push = [&](uint32_t i) {
      look(i);
      if (merges_[i].rank != Merge::kNever) queue.Push({merges_[i].rank, i});
    };
    for (uint32_t i = 0; i < count; ++i) {
      next_[i] = i + 1 < count ? i + 1 : kEnd;
      previous_[i] = i > 0 ? i - 1 : kEnd;
    }
    for (uint32_t i = 0; i < count; ++i) push(i);
    while (!queue.empty()) {
      const auto [rank, left] = queue.Pop();
      if (merges_[left].rank != rank) continue;
      const uint32_t right = next_[left];
      symbols_[left].id = merges_[left].symbol;
      next_[left] = next_[right];
      if (next_[right] != kEnd) previous_[next_[right]] = left;
      merges_[right] = Merge{};
      push(left);
      if (previous_[left] != kEnd) push(previous_[left]);
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i != kEnd; i = next_[i]) symbols_[kept++] = symbols_[i];
    symbols_.resize(kept);
  }

  std::vector<Symbol> symbols_;
  std::vector<Merge> merges_;
  std::vector<uint32_t> next_, previous_;
};

}  // namespace lb::text

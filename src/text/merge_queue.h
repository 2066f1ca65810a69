// The pairs that wait to be merged, lowest rank first and of equal ranks the leftmost.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

namespace lb::text {

// A line of places per rank. Long words repeat themselves, so there are few ranks, and places come
// and go from left to right: both ends of a line are reached without searching, and memory is
// walked in order. (One heap of all pairs takes 16 times as long for 10 times the text, once it no
// longer fits the cache.)
class MergeQueue {
 public:
  struct Entry {
    uint32_t rank;
    uint32_t place;
  };

  bool empty() const { return ranks_.empty(); }

  void Push(Entry entry) {
    const auto [at, added] =
        line_of_.try_emplace(entry.rank, static_cast<uint32_t>(lines_.size()));
    if (added) lines_.emplace_back();
    Line& line = lines_[at->second];
    if (line.empty()) {
      ranks_.push_back({entry.rank, at->second});
      std::push_heap(ranks_.begin(), ranks_.end(), HigherRank);
    }
    line.Push(entry.place);
  }

  // Not for an empty queue.
  Entry Pop() {
    const Rank first = ranks_.front();
    Line& line = lines_[first.line];
    const Entry entry{first.rank, line.Pop()};
    if (line.empty()) {
      std::pop_heap(ranks_.begin(), ranks_.end(), HigherRank);
      ranks_.pop_back();
    }
    return entry;
  }

 private:
  // In order as far as places came in order; the others in a heap.
  class Line {
   public:
    bool empty() const { return next_ == ordered_.size() && others_.empty(); }
    void Push(uint32_t place) {
      if (ordered_.empty() || place >= ordered_.back()) {
        ordered_.push_back(place);
      } else {
        others_.push_back(place);
        std::push_heap(others_.begin(), others_.end(), std::greater<>());
      }
    }
    uint32_t Pop() {
      uint32_t place;
      if (next_ == ordered_.size() || (!others_.empty() && others_.front() < ordered_[next_])) {
        place = others_.front();
        std::pop_heap(others_.begin(), others_.end(), std::greater<>());
        others_.pop_back();
      } else {
        place = ordered_[next_++];
      }
      if (empty()) {
        ordered_.clear();
        next_ = 0;
      }
      return place;
    }

   private:
    std::vector<uint32_t> ordered_;
    size_t next_ = 0;  // into ordered_
    std::vector<uint32_t> others_;
  };
  struct Rank {
    uint32_t rank;
    uint32_t line;
  };
  static bool HigherRank(const Rank& a, const Rank& b) { return a.rank > b.rank; }

  std::unordered_map<uint32_t, uint32_t> line_of_;
  std::vector<Line> lines_;
  std::vector<Rank> ranks_;  // of the lines that are not empty, as a heap
};

}  // namespace lb::text

// Histogram: how many values fell into which range. Plain data, copied with the engine's numbers.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <span>

namespace lb {

// Seconds. Fixed, so that histograms of several processes can be added up.
inline constexpr double kLatencyBounds[] = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                            1,     2.5,   5,    10,    30,   60,  120,  300};

// Of latencies. Range i has the values above bound i - 1 and up to bound i; the last has the rest.
struct Histogram {
  std::array<int64_t, std::size(kLatencyBounds) + 1> counts{};
  double sum = 0;

  void Observe(double seconds) {
    ++counts[static_cast<size_t>(std::ranges::lower_bound(kLatencyBounds, seconds) -
                                 std::begin(kLatencyBounds))];
    sum += seconds;
  }
  int64_t count() const { return std::accumulate(counts.begin(), counts.end(), int64_t{0}); }
};

}  // namespace lb

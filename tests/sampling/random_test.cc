// Proves that the generator is Philox (known answers of its authors), and that positions and
// streams are independent and uniform.
#include "sampling/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace lb::sampling {
namespace {

using Words = std::array<uint32_t, 4>;

TEST(Philox, KnownAnswers) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// Chi-square over 100 bins; 99 degrees of freedom: 149 is exceeded once in a thousand.
double ChiSquare(const std::vector<double>& draws) {
  std::vector<int> bins(100);
  for (const double u : draws) ++bins[static_cast<int>(u * 100)];
  const double expected = static_cast<double>(draws.size()) / 100;
  double sum = 0;
  for (const int n : bins) sum += (n - expected) * (n - expected) / expected;
  return sum;
}

TEST(Uniform, OverPositionsAndOverSeeds) {
  std::vector<double> positions, seeds, high_seeds;
  for (uint64_t i = 0; i < 100000; ++i) {
    positions.push_back(Uniform(7, i, Stream::kToken));
    seeds.push_back(Uniform(i, 100, Stream::kToken));
    high_seeds.push_back(Uniform(i << 40, 100, Stream::kToken));
  }
  for (const double u : positions) ASSERT_TRUE(u >= 0 && u < 1);
  EXPECT_LT(ChiSquare(positions), 149);
  EXPECT_LT(ChiSquare(seeds), 149);
  EXPECT_LT(ChiSquare(high_seeds), 149);
}

TEST(Uniform, NeighboursAndStreamsDoNotCorrelate) {
  double neighbours = 0, streams = 0;
  constexpr int kDraws = 100000;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const double u = Uniform(7, i, Stream::kToken) - 0.5;
    neighbours += u * (Uniform(7, i + 1, Stream::kToken) - 0.5);
    streams += u * (Uniform(7, i, Stream::kXtc) - 0.5);
  }
  // The variance of a product of two is 1/144: five standard deviations of the mean.
  const double limit = 5.0 / 12 / std::sqrt(kDraws);
  EXPECT_LT(std::fabs(neighbours / kDraws), limit);
  EXPECT_LT(std::fabs(streams / kDraws), limit);
}

}  // namespace
}  // namespace lb::sampling

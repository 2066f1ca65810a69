// Proves that the vectorised passes agree with the standard library, whatever the length and
// wherever the odd value stands.
#include "sampling/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/sampling/naive.h"

namespace lb::sampling {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(VectorMath, ExpAgreesWithTheLibrary) {
  for (double x = -87.2; x <= 0; x += 0.00137) {
    const double want = std::exp(static_cast<double>(static_cast<float>(x)));
    EXPECT_NEAR(ExpNegative(static_cast<float>(x)) / want, 1.0, 2.5e-7) << x;
  }
  EXPECT_EQ(ExpNegative(0), 1.0f);
  EXPECT_EQ(ExpNegative(-88), 0.0f);
  EXPECT_EQ(ExpNegative(-1e30f), 0.0f);
  EXPECT_EQ(ExpNegative(-kInf), 0.0f);
}

TEST(VectorMath, SumExpAgreesWithTheLibrary) {
  for (const int n : {1, 15, 16, 17, 1023, 1024, 1025, 49152, 151937}) {
    const std::vector<float> x = naive::RandomLogits(n, 5, n);
    float max = 0;
    ASSERT_TRUE(FiniteMax(x, &max));
    EXPECT_EQ(max, *std::max_element(x.begin(), x.end()));
    double want = 0;
    for (const float v : x) want += std::exp(double{v} - max);
    EXPECT_NEAR(SumExp(x, max) / want, 1.0, 1e-6) << n;
    EXPECT_EQ(IndexOf(x, max), std::max_element(x.begin(), x.end()) - x.begin());
  }
}

TEST(VectorMath, FindsWhatIsNotFiniteAnywhere) {
  for (const int n : {1, 16, 33, 1000}) {
    for (int i = 0; i < n; ++i) {
      for (const float bad : {kInf, -kInf, std::nanf("")}) {
        std::vector<float> x = naive::RandomLogits(n, 5, 1);
        float max = 0;
        ASSERT_TRUE(FiniteMax(x, &max));
        x[i] = bad;
        EXPECT_FALSE(FiniteMax(x, &max)) << n << " " << i << " " << bad;
      }
    }
  }
}

TEST(VectorMath, MaxOfHalfBannedAndOfNothing) {
  std::vector<float> x(100, -kInf);
  EXPECT_EQ(Max(x), -kInf);
  x[97] = -1e30f;
  EXPECT_EQ(Max(x), -1e30f);
  EXPECT_EQ(Max({}), -kInf);
}

}  // namespace
}  // namespace lb::sampling

// Proves the fp16 and bf16 conversions over every 16-bit pattern and at every rounding boundary
// between two neighbours, against arithmetic done in double.
#include "quant/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lb::quant {
namespace {

// What the bits of an fp16 mean, by definition.
double HalfByDefinition(uint16_t h) {
  const int exponent = (h >> 10) & 31;
  const int mantissa = h & 1023;
  const double sign = (h & 0x8000) ? -1 : 1;
  if (exponent == 31) {
    return mantissa ? std::numeric_limits<double>::quiet_NaN()
                    : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

bool IsHalfNan(uint16_t h) { return (h & 0x7fff) > 0x7c00; }
bool IsBf16Nan(uint16_t b) { return (b & 0x7fff) > 0x7f80; }

TEST(Half, EveryPatternDecodesByDefinition) {
  for (int i = 0; i < 65536; ++i) {
    const auto h = static_cast<uint16_t>(i);
    const float f = HalfToFloat(h);
    if (IsHalfNan(h)) {
      ASSERT_TRUE(std::isnan(f)) << i;
      continue;
    }
    ASSERT_EQ(static_cast<double>(f), HalfByDefinition(h)) << i;
    ASSERT_EQ(std::signbit(f), (h & 0x8000) != 0) << i;
  }
}

TEST(Half, EveryPatternSurvivesTheRoundTrip) {
  for (int i = 0; i < 65536; ++i) {
    const auto h = static_cast<uint16_t>(i);
    ASSERT_EQ(HalfFromFloat(HalfToFloat(h)), h) << i;
  }
}

TEST(Half, RoundsToNearestEvenBetweenAllNeighbours) {
  // Up to 65504, the largest finite value; the step beyond it leads to infinity.
  for (int i = 0; i < 0x7c00; ++i) {
    const auto low = static_cast<uint16_t>(i);
    const auto high = static_cast<uint16_t>(i + 1);
    const double above = i + 1 == 0x7c00 ? 65536.0 : HalfByDefinition(high);
    const auto middle = static_cast<float>((HalfByDefinition(low) + above) / 2);  // exact
    const uint16_t even = (low & 1) ? high : low;
    ASSERT_EQ(HalfFromFloat(middle), even) << i;
    ASSERT_EQ(HalfFromFloat(std::nextafter(middle, 0.0f)), low) << i;
    ASSERT_EQ(HalfFromFloat(std::nextafter(middle, 1e9f)), high) << i;
    ASSERT_EQ(HalfFromFloat(-middle), even | 0x8000) << i;
  }
}

TEST(Half, ExtremesOfFloat) {
  EXPECT_EQ(HalfFromFloat(std::numeric_limits<float>::max()), 0x7c00);
  EXPECT_EQ(HalfFromFloat(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(HalfFromFloat(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(HalfFromFloat(-0.0f), 0x8000);
  // A NaN whose payload lies wholly in the bits that are cut off must not turn into infinity.
  EXPECT_TRUE(IsHalfNan(HalfFromFloat(FloatFromBits(0x7f800001))));
  EXPECT_TRUE(IsHalfNan(HalfFromFloat(FloatFromBits(0xffffffff))));
}

TEST(Bf16, EveryPatternSurvivesTheRoundTrip) {
  for (int i = 0; i < 65536; ++i) {
    const auto b = static_cast<uint16_t>(i);
    const uint16_t back = Bf16FromFloat(Bf16ToFloat(b));
    if (IsBf16Nan(b)) {
      ASSERT_EQ(back, b | 0x40) << i;  // made quiet
    } else {
      ASSERT_EQ(back, b) << i;
    }
  }
}

TEST(Bf16, RoundsToNearestEvenBetweenAllNeighbours) {
  for (uint32_t i = 0; i < 0x7f80; ++i) {
    const uint32_t middle = i << 16 | 0x8000;
    const uint32_t even = (i & 1) ? i + 1 : i;
    ASSERT_EQ(Bf16FromFloat(FloatFromBits(middle)), even) << i;
    ASSERT_EQ(Bf16FromFloat(FloatFromBits(middle - 1)), i) << i;
    ASSERT_EQ(Bf16FromFloat(FloatFromBits(middle + 1)), i + 1) << i;
  }
  EXPECT_TRUE(IsBf16Nan(Bf16FromFloat(FloatFromBits(0x7f800001))));
}

}  // namespace
}  // namespace lb::quant

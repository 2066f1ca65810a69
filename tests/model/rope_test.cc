// Proves the frequencies of each kind of stretching against their definitions.
#include "model/layers/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace lb {
namespace {

RopeSpec Plain(int dims, double base) {
  RopeSpec spec;
  spec.dims = dims;
  spec.base = base;
  return spec;
}

TEST(RopeTest, PlainFrequenciesFallGeometrically) {
  const std::vector<float> f = RopeFrequencies(Plain(8, 10000.0), {});
  ASSERT_EQ(f.size(), 4u);
  EXPECT_FLOAT_EQ(f[0], 1.0f);
  EXPECT_FLOAT_EQ(f[1], 0.1f);
  EXPECT_FLOAT_EQ(f[2], 0.01f);
  EXPECT_FLOAT_EQ(f[3], 0.001f);
  EXPECT_EQ(RopeMagnitude(Plain(8, 10000.0)), 1.0f);
}

TEST(RopeTest, LinearDividesAll) {
  RopeSpec spec = Plain(8, 10000.0);
  spec.scaling = RopeScaling::kLinear;
  spec.factor = 8;
  EXPECT_FLOAT_EQ(RopeFrequencies(spec, {})[0], 0.125f);
  EXPECT_FLOAT_EQ(RopeFrequencies(spec, {})[3], 0.000125f);
  EXPECT_EQ(RopeMagnitude(spec), 1.0f);
}

TEST(RopeTest, FactorsDivideOneByOne) {
  const std::vector<float> f = RopeFrequencies(Plain(8, 10000.0), {1, 1, 4, 8});
  EXPECT_FLOAT_EQ(f[1], 0.1f);
  EXPECT_FLOAT_EQ(f[2], 0.0025f);
  EXPECT_FLOAT_EQ(f[3], 0.000125f);
}

// Qwen 2.5's long-context setting: 128 dimensions, base 1e6, factor 4 over 32,768.
TEST(RopeTest, YarnKeepsFastPairsAndStretchesSlowOnes) {
  RopeSpec spec = Plain(128, 1e6);
  const std::vector<float> plain = RopeFrequencies(spec, {});
  spec.scaling = RopeScaling::kYarn;
  spec.factor = 4;
  spec.original_context = 32768;
  const std::vector<float> yarn = RopeFrequencies(spec, {});
  // By the definition: pair i turns L * f_i / 2 pi times in the original context. 32 turns are at
  // pair 23.6, one turn at 39.6; the ramp goes from 23 to 40.
  for (int i = 0; i < 64; ++i) {
    const double turns = 32768 * std::pow(1e6, -i / 64.0) / (2 * std::numbers::pi);
    if (turns > 40) {
      EXPECT_FLOAT_EQ(yarn[i], plain[i]) << i;
    } else if (turns < 0.9) {
      EXPECT_FLOAT_EQ(yarn[i], plain[i] / 4) << i;
    }
  }
  EXPECT_FLOAT_EQ(yarn[23], plain[23]);
  EXPECT_FLOAT_EQ(yarn[24], plain[24] * (1 - 0.75f / 17));
  EXPECT_FLOAT_EQ(yarn[39], plain[39] * (1 - 0.75f * 16 / 17));
  EXPECT_FLOAT_EQ(yarn[40], plain[40] / 4);
  EXPECT_FLOAT_EQ(RopeMagnitude(spec), 1.0f + 0.1f * std::log(4.0f));
}

TEST(RopeTest, YarnMagnitudeWithMultiplierCancels) {
  RopeSpec spec = Plain(64, 10000);
  spec.scaling = RopeScaling::kYarn;
  spec.factor = 40;
  spec.original_context = 4096;
  spec.log_multiplier = 1.0;
  EXPECT_FLOAT_EQ(RopeMagnitude(spec), 1.0f);
  spec.attention_factor = 1.5;
  EXPECT_FLOAT_EQ(RopeMagnitude(spec), 1.5f);
}

}  // namespace
}  // namespace lb

// Proves the format table: rows agree with themselves and with GGUF's numbers, every encoder stays
// within the error its step size allows, and no decoder reads or writes past what it was given.
#include "quant/dtype.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace lb {
namespace {

TEST(DType, RowsAreReachableByEveryKey) {
  EXPECT_EQ(AllDTypes().size(), static_cast<size_t>(kNumDTypes));
  for (const DTypeInfo& info : AllDTypes()) {
    EXPECT_EQ(&Info(info.dtype), &info);
    EXPECT_EQ(DTypeFromName(info.name), info.dtype);
    if (info.gguf_id == kNotInGguf) {
      EXPECT_EQ(DTypeFromGguf(info.gguf_id), std::nullopt);
      continue;
    }
    EXPECT_EQ(GgufTypeName(info.gguf_id), info.name);
    EXPECT_FALSE(IsRemovedGgufType(info.gguf_id));
    if (info.decode != nullptr) {
      EXPECT_EQ(DTypeFromGguf(info.gguf_id), info.dtype);
    }
  }
}

TEST(DType, IndicesAreNeverWeights) {
  EXPECT_EQ(Info(DType::kI32).decode, nullptr);
  EXPECT_EQ(DTypeFromGguf(Info(DType::kI32).gguf_id), std::nullopt);
}

TEST(DType, NamesAreFoundInAnyCase) {
  EXPECT_EQ(DTypeFromName("q4_k"), DType::kQ4_K);
  EXPECT_EQ(DTypeFromName("Mxfp4"), DType::kMXFP4);
  EXPECT_EQ(DTypeFromName("q4"), std::nullopt);
  EXPECT_EQ(DTypeFromName(""), std::nullopt);
}

TEST(DType, NamesTypesThatItCannotRead) {
  EXPECT_EQ(GgufTypeName(16), "IQ2_XXS");
  EXPECT_EQ(GgufTypeName(4), "Q4_2");
  EXPECT_EQ(GgufTypeName(31), "Q4_0_4_4");
  EXPECT_EQ(GgufTypeName(38), "IQ4_NL_8_8");
  EXPECT_EQ(GgufTypeName(40), "NVFP4");
  EXPECT_EQ(GgufTypeName(250), "unknown");
  EXPECT_EQ(GgufTypeName(0xffffffff), "unknown");
  EXPECT_EQ(DTypeFromGguf(16), std::nullopt);
  EXPECT_EQ(DTypeFromGguf(250), std::nullopt);
  for (uint32_t id : {4, 5, 31, 32, 33, 36, 37, 38}) EXPECT_TRUE(IsRemovedGgufType(id)) << id;
}

TEST(DType, RowBytes) {
  EXPECT_EQ(RowBytes(DType::kF32, 7), 28);
  EXPECT_EQ(RowBytes(DType::kQ4_1, 576), 360);
  EXPECT_EQ(RowBytes(DType::kQ6_K, 512), 420);
}

// The largest error of a rounded value, as a share of the block's range (largest magnitude for the
// formats around zero, max - min for those with a minimum): half a step, and the rounding of the
// scale to 11 bits times the largest level.
double ErrorBound(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 0;
    case DType::kF16:
      return std::ldexp(1, -11);
    case DType::kBF16:
      return std::ldexp(1, -8);
    // The end that has one step less loses a whole step: 7 levels where 8 were scaled for.
    case DType::kQ4_0:
      return 1.0 / 8 + std::ldexp(1, -11);
    case DType::kQ5_0:
      return 1.0 / 16 + std::ldexp(1, -11);
    case DType::kQ4_1:
      return 0.5 / 15 + std::ldexp(1, -10);
    case DType::kQ5_1:
      return 0.5 / 31 + std::ldexp(1, -10);
    case DType::kQ8_0:
      return 0.5 / 127 + std::ldexp(1, -11);
    case DType::kFP8E4M3:
      return std::ldexp(1, -4);
    default:
      return -1;
  }
}

TEST(DType, EncodersStayWithinTheirStep) {
  std::mt19937 random(20);
  std::normal_distribution<float> normal;
  int encoders = 0;
  for (const DTypeInfo& info : AllDTypes()) {
    if (info.encode == nullptr) continue;
    ++encoders;
    const double bound = ErrorBound(info.dtype);
    ASSERT_GE(bound, 0) << info.name << " needs an error bound in this test";
    double worst = 0;
    for (int trial = 0; trial < 2000; ++trial) {
      float x[32], y[32];
      // Large enough that no format's fp16 scale is subnormal, and within the range of FP8.
      const float scale = std::exp2(static_cast<float>(static_cast<int>(random() % 11) - 5));
      const float centre = info.name.ends_with("_1") ? scale * normal(random) : 0.0f;
      for (float& v : x) v = centre + scale * normal(random);
      std::vector<uint8_t> bytes(RowBytes(info.dtype, 32));
      info.encode(x, bytes.data(), 32);
      info.decode(bytes.data(), y, 32);
      const auto [low, high] = std::minmax_element(x, x + 32);
      const double magnitude = std::max(std::abs(*low), std::abs(*high));
      // With a minimum, its own rounding adds an error that the range does not bound.
      const bool ranged = info.name.ends_with("_1");
      const double range = ranged ? double{*high} - *low : magnitude;
      const double extra = ranged ? magnitude * std::ldexp(1, -11) : 0;
      for (int i = 0; i < 32; ++i) {
        const double error = std::abs(double{x[i]} - y[i]);
        ASSERT_LE(error, bound * range * 1.0001 + extra) << info.name << " " << x[i];
        worst = std::max(worst, error / range);
      }
    }
    // The bound is no wish: a decoder that gives zeros, or a bound ten times too wide, fails here.
    if (bound > 0) {
      EXPECT_GT(worst, bound / 4) << info.name;
    }
  }
  EXPECT_EQ(encoders, 9);
}

TEST(DType, EncodersTakeAnyFloat) {
  const float kInf = std::numeric_limits<float>::infinity();
  const float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const DTypeInfo& info : AllDTypes()) {
    if (info.encode == nullptr) continue;
    for (float special : {kInf, -kInf, kNan, 3e38f, -3e38f, 1e-45f, -0.0f}) {
      float x[32] = {1.0f, -2.0f, special};
      float y[32];
      std::vector<uint8_t> bytes(RowBytes(info.dtype, 32));
      info.encode(x, bytes.data(), 32);
      info.decode(bytes.data(), y, 32);
      float alone[32];
      std::fill(alone, alone + 32, special);
      info.encode(alone, bytes.data(), 32);
    }
    float zero[32] = {};
    float y[32];
    std::vector<uint8_t> bytes(RowBytes(info.dtype, 32));
    info.encode(zero, bytes.data(), 32);
    info.decode(bytes.data(), y, 32);
    for (float v : y) EXPECT_EQ(v, 0.0f) << info.name;
  }
}

TEST(DType, DecodersKeepToTheirBufferAtAnyAlignment) {
  std::mt19937 random(7);
  for (const DTypeInfo& info : AllDTypes()) {
    if (info.decode == nullptr) continue;
    const int64_t n = info.block_size * 3;
    const int64_t bytes = RowBytes(info.dtype, n);
    std::vector<uint8_t> source(bytes);
    for (uint8_t& b : source) b = static_cast<uint8_t>(random());
    std::vector<float> expected(n);
    info.decode(source.data(), expected.data(), n);
    for (int offset = 1; offset < 8; ++offset) {
      std::vector<uint8_t> shifted(offset + bytes);  // ends where the blocks end, for the sanitizer
      std::copy(source.begin(), source.end(), shifted.begin() + offset);
      std::vector<float> got(n + 2, 42.0f);
      info.decode(shifted.data() + offset, got.data() + 1, n);
      EXPECT_EQ(got.front(), 42.0f) << info.name;
      EXPECT_EQ(got.back(), 42.0f) << info.name;
      EXPECT_EQ(std::memcmp(expected.data(), got.data() + 1, n * sizeof(float)), 0) << info.name;
    }
  }
}

// Every code by the definition of its format, and every number beside and between them to the nearest.
TEST(DType, Fp8IsE4M3) {
  std::vector<double> values;
  for (int code = 0; code < 256; ++code) {
    const auto byte = static_cast<uint8_t>(code);
    float got = 0;
    Info(DType::kFP8E4M3).decode(&byte, &got, 1);
    const int exponent = code >> 3 & 15, mantissa = code & 7;
    if (exponent == 15 && mantissa == 7) {
      EXPECT_TRUE(std::isnan(got)) << code;
      continue;
    }
    const double magnitude = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
    EXPECT_EQ(got, static_cast<float>(code < 128 ? magnitude : -magnitude)) << code;
    EXPECT_EQ(std::signbit(got), code >= 128) << code;
    if (code < 128) values.push_back(magnitude);
  }
  const auto encode = [](float x) {
    uint8_t byte = 0;
    Info(DType::kFP8E4M3).encode(&x, &byte, 1);
    return static_cast<int>(byte);
  };
  for (size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<float>(values[i]);
    const int code = static_cast<int>(i);
    EXPECT_EQ(encode(value), code);
    EXPECT_EQ(encode(-value), code | 0x80);
    if (i + 1 == values.size()) break;
    const auto middle = static_cast<float>((values[i] + values[i + 1]) / 2);
    EXPECT_EQ(encode(std::nextafter(middle, 0.0f)), code);
    EXPECT_EQ(encode(middle), code + code % 2) << "the even one of two as near";
    EXPECT_EQ(encode(std::nextafter(middle, 1e9f)), code + 1);
  }
  for (float large : {449.0f, 470.0f, 1e30f, std::numeric_limits<float>::infinity()}) EXPECT_EQ(encode(large), 0x7e) << large;
  EXPECT_EQ(encode(std::numeric_limits<float>::quiet_NaN()) & 0x7f, 0x7f);
}

}  // namespace
}  // namespace lb

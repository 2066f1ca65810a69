// What the encoders of the 32-value formats share: the block's extremes and the way a scaled value
// becomes a small integer. The rules are those of the `gguf` Python package, so that a file encoded
// here and one encoded there are the same bytes.
#pragma once

#include <math.h>
#include <stdint.h>

namespace lb::quant {

// The value of largest magnitude, the first of equals, with its sign; a NaN counts as the largest.
static inline float LargestMagnitude(const float* x, int n) {
  float largest = x[0];
  for (int i = 1; i < n && !isnan(largest); ++i) {
    if (isnan(x[i]) || fabsf(x[i]) > fabsf(largest)) largest = x[i];
  }
  return largest;
}

struct Extremes {
  float min;
  float max;
};

// Both are NaN if any value is.
static inline Extremes MinMax(const float* x, int n) {
  Extremes e{x[0], x[0]};
  for (int i = 1; i < n && !isnan(e.min); ++i) {
    if (isnan(x[i])) return {x[i], x[i]};
    if (x[i] < e.min) e.min = x[i];
    if (x[i] > e.max) e.max = x[i];
  }
  return e;
}

static inline float InverseOrZero(float d) { return d == 0.0f ? 0.0f : 1.0f / d; }

// Drops the fraction and limits to 0..max. What no integer can hold (a NaN or an infinity, out of a
// block with such a value or with a scale too small to invert) becomes 0.
static inline uint8_t TruncateTo(float x, int max) {
  if (!(x > -2147483648.0f && x < 2147483648.0f)) return 0;
  const uint8_t q = static_cast<uint8_t>(static_cast<int32_t>(x));
  return q > max ? static_cast<uint8_t>(max) : q;
}

}  // namespace lb::quant

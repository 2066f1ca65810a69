// Q8_0: 32 values, one scale: x = d * q.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "quant/half.h"
#include "quant/scaling.h"

namespace lb::quant {

struct BlockQ8_0 {
  uint16_t d;  // fp16
  int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

static inline void DecodeQ8_0(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t k = 0; k < n / 32; ++k, dst += 32) {
    BlockQ8_0 b;
    memcpy(&b, in + k * sizeof b, sizeof b);
    const float d = HalfToFloat(b.d);
    for (int i = 0; i < 32; ++i) dst[i] = d * static_cast<float>(b.qs[i]);
  }
}

static inline void EncodeQ8_0(const float* src, void* dst, int64_t n) {
  char* out = static_cast<char*>(dst);
  for (int64_t k = 0; k < n / 32; ++k, src += 32) {
    BlockQ8_0 b;
    const float d = fabsf(LargestMagnitude(src, 32)) / 127.0f;
    const float inverse = InverseOrZero(d);
    b.d = HalfFromFloat(d);
    for (int i = 0; i < 32; ++i) {
      // To nearest, halves away from zero.
      const float scaled = src[i] * inverse;
      const float whole = floorf(fabsf(scaled));
      const float rounded = whole + floorf(2.0f * (fabsf(scaled) - whole));
      // A NaN or an infinity, out of a block with such a value or with a scale too small to invert.
      const bool valid = rounded <= 127.0f;
      b.qs[i] = valid ? static_cast<int8_t>(scaled < 0 ? -rounded : rounded) : int8_t{0};
    }
    memcpy(out + k * sizeof b, &b, sizeof b);
  }
}

}  // namespace lb::quant

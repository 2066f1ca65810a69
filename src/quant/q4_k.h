// Q4_K: 256 values in 8 groups of 32: x = (d * scale) * q - (dmin * minimum).
#pragma once

#include <stdint.h>
#include <string.h>

#include "quant/half.h"
#include "quant/k_scales.h"

namespace lb::quant {

struct BlockQ4_K {
  uint16_t d;          // fp16
  uint16_t dmin;       // fp16
  uint8_t scales[12];  // see KScale and KMinimum
  uint8_t qs[128];     // group g: the low (g even) or high halves of bytes 32 (g / 2) and on
};
static_assert(sizeof(BlockQ4_K) == 144);

static inline void DecodeQ4_K(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t k = 0; k < n / 256; ++k, dst += 256) {
    BlockQ4_K b;
    memcpy(&b, in + k * sizeof b, sizeof b);
    const float d = HalfToFloat(b.d);
    const float dmin = HalfToFloat(b.dmin);
    for (int g = 0; g < 8; ++g) {
      const float scale = d * static_cast<float>(KScale(b.scales, g));
      const float minimum = dmin * static_cast<float>(KMinimum(b.scales, g));
      const uint8_t* q = b.qs + g / 2 * 32;
      const int shift = g % 2 * 4;
      for (int i = 0; i < 32; ++i) {
        dst[g * 32 + i] = scale * static_cast<float>(q[i] >> shift & 15) - minimum;
      }
    }
  }
}

}  // namespace lb::quant

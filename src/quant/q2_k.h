// Q2_K: 256 values in 16 groups of 16: x = (d * scale) * q - (dmin * minimum).
#pragma once

#include <stdint.h>
#include <string.h>

#include "quant/half.h"

namespace lb::quant {

struct BlockQ2_K {
  uint8_t scales[16];  // group g: scale in the low half of byte g, minimum in its high half
  uint8_t qs[64];      // value 128 h + 32 j + i: bits 2 j and 2 j + 1 of byte 32 h + i
  uint16_t d;          // fp16
  uint16_t dmin;       // fp16
};
static_assert(sizeof(BlockQ2_K) == 84);

static inline void DecodeQ2_K(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t k = 0; k < n / 256; ++k, dst += 256) {
    BlockQ2_K b;
    memcpy(&b, in + k * sizeof b, sizeof b);
    const float d = HalfToFloat(b.d);
    const float dmin = HalfToFloat(b.dmin);
    for (int g = 0; g < 16; ++g) {
      const float scale = d * static_cast<float>(b.scales[g] & 15);
      const float minimum = dmin * static_cast<float>(b.scales[g] >> 4);
      const int shift = g % 8 / 2 * 2;
      const uint8_t* q = b.qs + g / 8 * 32 + g % 2 * 16;
      for (int i = 0; i < 16; ++i) {
        dst[g * 16 + i] = scale * static_cast<float>(q[i] >> shift & 3) - minimum;
      }
    }
  }
}

}  // namespace lb::quant

// Q3_K: 256 values in 16 groups of 16: x = (d * (scale - 32)) * (q - 4).
#pragma once

#include <stdint.h>
#include <string.h>

#include "quant/half.h"

namespace lb::quant {

struct BlockQ3_K {
  uint8_t hmask[32];   // bit j of byte i: the third bit of value 32 j + i
  uint8_t qs[64];      // value 128 h + 32 j + i: bits 2 j and 2 j + 1 of byte 32 h + i
  uint8_t scales[12];  // 16 numbers of 6 bits; see Q3KScale
  uint16_t d;          // fp16
};
static_assert(sizeof(BlockQ3_K) == 110);

// The scale of group g, 0 to 63. Its low four bits are a half of byte g % 8 (the high half from
// group 8 on), its high two bits are bits 2 (g / 4) and 2 (g / 4) + 1 of byte 8 + g % 4.
static inline int Q3KScale(const uint8_t scales[12], int g) {
  const int low = scales[g % 8] >> (g / 8 * 4) & 15;
  const int high = scales[8 + g % 4] >> (g / 4 * 2) & 3;
  return low | high << 4;
}

static inline void DecodeQ3_K(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t k = 0; k < n / 256; ++k, dst += 256) {
    BlockQ3_K b;
    memcpy(&b, in + k * sizeof b, sizeof b);
    const float d = HalfToFloat(b.d);
    for (int g = 0; g < 16; ++g) {
      const float scale = d * static_cast<float>(Q3KScale(b.scales, g) - 32);
      const int shift = g % 8 / 2 * 2;
      const uint8_t* q = b.qs + g / 8 * 32 + g % 2 * 16;
      const uint8_t* high = b.hmask + g % 2 * 16;
      for (int i = 0; i < 16; ++i) {
        const int value = (q[i] >> shift & 3) | (high[i] >> g / 2 & 1) << 2;
        dst[g * 16 + i] = scale * static_cast<float>(value - 4);
      }
    }
  }
}

}  // namespace lb::quant

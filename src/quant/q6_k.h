// Q6_K: 256 values in 16 groups of 16: x = (d * scale) * (q - 32).
#pragma once

#include <stdint.h>
#include <string.h>

#include "quant/half.h"

namespace lb::quant {

struct BlockQ6_K {
  // With a value's number as 128 h + 32 j + i (j from 0 to 3):
  uint8_t ql[128];    // low four bits: half of byte 64 h + 32 (j % 2) + i, the high one from j = 2
  uint8_t qh[64];     // high two bits: bits 2 j and 2 j + 1 of byte 32 h + i
  int8_t scales[16];  // group g: values 16 g to 16 g + 15
  uint16_t d;         // fp16
};
static_assert(sizeof(BlockQ6_K) == 210);

static inline void DecodeQ6_K(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t k = 0; k < n / 256; ++k, dst += 256) {
    BlockQ6_K b;
    memcpy(&b, in + k * sizeof b, sizeof b);
    const float d = HalfToFloat(b.d);
    for (int g = 0; g < 16; ++g) {
      const float scale = d * static_cast<float>(b.scales[g]);
      const int h = g / 8;
      const int j = g % 8 / 2;
      const uint8_t* low = b.ql + 64 * h + 32 * (j % 2) + g % 2 * 16;
      const uint8_t* high = b.qh + 32 * h + g % 2 * 16;
      for (int i = 0; i < 16; ++i) {
        const int value = (low[i] >> j / 2 * 4 & 15) | (high[i] >> j * 2 & 3) << 4;
        dst[g * 16 + i] = scale * static_cast<float>(value - 32);
      }
    }
  }
}

}  // namespace lb::quant

// IQ4_XS: 256 values in 8 groups of 32 on IQ4_NL's levels: x = (d * (scale - 32)) * level[q].
#pragma once

#include <stdint.h>
#include <string.h>

#include "quant/half.h"
#include "quant/iq4_nl.h"

namespace lb::quant {

struct BlockIQ4_XS {
  uint16_t d;           // fp16
  uint16_t scales_h;    // bits 2 g and 2 g + 1: the top of group g's scale
  uint8_t scales_l[4];  // group g: the low (g even) or high half of byte g / 2
  uint8_t qs[128];      // group g, bytes 16 g and on: value i low, value i + 16 high half of byte i
};
static_assert(sizeof(BlockIQ4_XS) == 136);

static inline int IQ4XSScale(const BlockIQ4_XS& b, int g) {
  return (b.scales_l[g / 2] >> g % 2 * 4 & 15) | (b.scales_h >> 2 * g & 3) << 4;
}

static inline void DecodeIQ4_XS(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t k = 0; k < n / 256; ++k, dst += 256) {
    BlockIQ4_XS b;
    memcpy(&b, in + k * sizeof b, sizeof b);
    const float d = HalfToFloat(b.d);
    for (int g = 0; g < 8; ++g) {
      const float scale = d * static_cast<float>(IQ4XSScale(b, g) - 32);
      const uint8_t* q = b.qs + 16 * g;
      for (int i = 0; i < 16; ++i) {
        dst[32 * g + i] = scale * static_cast<float>(kIQ4Levels[q[i] & 15]);
        dst[32 * g + i + 16] = scale * static_cast<float>(kIQ4Levels[q[i] >> 4]);
      }
    }
  }
}

}  // namespace lb::quant

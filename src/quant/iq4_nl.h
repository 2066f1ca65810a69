// IQ4_NL: 32 values, one scale, 16 levels that are not evenly spaced: x = d * level[q].
#pragma once

#include <stdint.h>
#include <string.h>

#include "quant/half.h"

namespace lb::quant {

struct BlockIQ4_NL {
  uint16_t d;      // fp16
  uint8_t qs[16];  // value i in the low half of byte i, value i + 16 in its high half
};
static_assert(sizeof(BlockIQ4_NL) == 18);

// Shared by IQ4_NL and IQ4_XS.
static const int8_t kIQ4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};

static inline void DecodeIQ4_NL(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t k = 0; k < n / 32; ++k, dst += 32) {
    BlockIQ4_NL b;
    memcpy(&b, in + k * sizeof b, sizeof b);
    const float d = HalfToFloat(b.d);
    for (int i = 0; i < 16; ++i) {
      dst[i] = d * static_cast<float>(kIQ4Levels[b.qs[i] & 15]);
      dst[i + 16] = d * static_cast<float>(kIQ4Levels[b.qs[i] >> 4]);
    }
  }
}

}  // namespace lb::quant

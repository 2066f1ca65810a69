// MXFP4 (OCP microscaling): 32 values of 4 bits (e2m1), one power of two as scale.
#pragma once

#include <stdint.h>
#include <string.h>

#include "quant/half.h"

namespace lb::quant {

struct BlockMXFP4 {
  uint8_t e;       // the scale 2^(e - 127)
  uint8_t qs[16];  // value i in the low half of byte i, value i + 16 in its high half
};
static_assert(sizeof(BlockMXFP4) == 17);

// The e2m1 values, doubled to be whole numbers; the scale is halved in turn.
static const int8_t kMXFP4Levels[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// 2^(e - 128), which for e below 2 is subnormal.
static inline float MXFP4HalfScale(uint8_t e) {
  return FloatFromBits(e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23);
}

static inline void DecodeMXFP4(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t k = 0; k < n / 32; ++k, dst += 32) {
    BlockMXFP4 b;
    memcpy(&b, in + k * sizeof b, sizeof b);
    const float d = MXFP4HalfScale(b.e);
    for (int i = 0; i < 16; ++i) {
      dst[i] = d * static_cast<float>(kMXFP4Levels[b.qs[i] & 15]);
      dst[i + 16] = d * static_cast<float>(kMXFP4Levels[b.qs[i] >> 4]);
    }
  }
}

}  // namespace lb::quant

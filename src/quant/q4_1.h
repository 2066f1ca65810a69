// Q4_1: 32 values, a scale and a minimum: x = d * q + m.
#pragma once

#include <stdint.h>
#include <string.h>

#include "quant/half.h"
#include "quant/scaling.h"

namespace lb::quant {

struct BlockQ4_1 {
  uint16_t d;      // fp16
  uint16_t m;      // fp16
  uint8_t qs[16];  // value i in the low half of byte i, value i + 16 in its high half
};
static_assert(sizeof(BlockQ4_1) == 20);

static inline void DecodeQ4_1(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t k = 0; k < n / 32; ++k, dst += 32) {
    BlockQ4_1 b;
    memcpy(&b, in + k * sizeof b, sizeof b);
    const float d = HalfToFloat(b.d);
    const float m = HalfToFloat(b.m);
    for (int i = 0; i < 16; ++i) {
      dst[i] = d * static_cast<float>(b.qs[i] & 15) + m;
      dst[i + 16] = d * static_cast<float>(b.qs[i] >> 4) + m;
    }
  }
}

static inline void EncodeQ4_1(const float* src, void* dst, int64_t n) {
  char* out = static_cast<char*>(dst);
  for (int64_t k = 0; k < n / 32; ++k, src += 32) {
    BlockQ4_1 b;
    const Extremes e = MinMax(src, 32);
    const float d = (e.max - e.min) / 15.0f;
    const float inverse = InverseOrZero(d);
    b.d = HalfFromFloat(d);
    b.m = HalfFromFloat(e.min);
    for (int i = 0; i < 16; ++i) {
      const uint8_t low = TruncateTo((src[i] - e.min) * inverse + 0.5f, 15);
      const uint8_t high = TruncateTo((src[i + 16] - e.min) * inverse + 0.5f, 15);
      b.qs[i] = static_cast<uint8_t>(low | high << 4);
    }
    memcpy(out + k * sizeof b, &b, sizeof b);
  }
}

}  // namespace lb::quant

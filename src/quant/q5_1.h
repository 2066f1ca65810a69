// Q5_1: 32 values, a scale and a minimum: x = d * q + m.
#pragma once

#include <stdint.h>
#include <string.h>

#include "quant/half.h"
#include "quant/scaling.h"

namespace lb::quant {

struct BlockQ5_1 {
  uint16_t d;      // fp16
  uint16_t m;      // fp16
  uint8_t qh[4];   // bit i of these 32: the fifth bit of value i
  uint8_t qs[16];  // value i in the low half of byte i, value i + 16 in its high half
};
static_assert(sizeof(BlockQ5_1) == 24);

static inline void DecodeQ5_1(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t k = 0; k < n / 32; ++k, dst += 32) {
    BlockQ5_1 b;
    memcpy(&b, in + k * sizeof b, sizeof b);
    const float d = HalfToFloat(b.d);
    const float m = HalfToFloat(b.m);
    uint32_t qh;
    memcpy(&qh, b.qh, 4);
    for (int i = 0; i < 16; ++i) {
      const int low = (b.qs[i] & 15) | static_cast<int>(qh >> i & 1) << 4;
      const int high = b.qs[i] >> 4 | static_cast<int>(qh >> (i + 16) & 1) << 4;
      dst[i] = d * static_cast<float>(low) + m;
      dst[i + 16] = d * static_cast<float>(high) + m;
    }
  }
}

static inline void EncodeQ5_1(const float* src, void* dst, int64_t n) {
  char* out = static_cast<char*>(dst);
  for (int64_t k = 0; k < n / 32; ++k, src += 32) {
    BlockQ5_1 b;
    const Extremes e = MinMax(src, 32);
    const float d = (e.max - e.min) / 31.0f;
    const float inverse = InverseOrZero(d);
    b.d = HalfFromFloat(d);
    b.m = HalfFromFloat(e.min);
    uint32_t qh = 0;
    for (int i = 0; i < 16; ++i) {
      const uint32_t low = TruncateTo((src[i] - e.min) * inverse + 0.5f, 31);
      const uint32_t high = TruncateTo((src[i + 16] - e.min) * inverse + 0.5f, 31);
      b.qs[i] = static_cast<uint8_t>((low & 15) | (high & 15) << 4);
      qh |= (low >> 4) << i | (high >> 4) << (i + 16);
    }
    memcpy(b.qh, &qh, 4);
    memcpy(out + k * sizeof b, &b, sizeof b);
  }
}

}  // namespace lb::quant

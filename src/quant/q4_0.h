// Q4_0: 32 values, one scale: x = d * (q - 8).
#pragma once

#include <stdint.h>
#include <string.h>

#include "quant/half.h"
#include "quant/scaling.h"

namespace lb::quant {

struct BlockQ4_0 {
  uint16_t d;      // fp16
  uint8_t qs[16];  // value i in the low half of byte i, value i + 16 in its high half
};
static_assert(sizeof(BlockQ4_0) == 18);

static inline void DecodeQ4_0(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t k = 0; k < n / 32; ++k, dst += 32) {
    BlockQ4_0 b;
    memcpy(&b, in + k * sizeof b, sizeof b);
    const float d = HalfToFloat(b.d);
    for (int i = 0; i < 16; ++i) {
      dst[i] = d * static_cast<float>((b.qs[i] & 15) - 8);
      dst[i + 16] = d * static_cast<float>((b.qs[i] >> 4) - 8);
    }
  }
}

static inline void EncodeQ4_0(const float* src, void* dst, int64_t n) {
  char* out = static_cast<char*>(dst);
  for (int64_t k = 0; k < n / 32; ++k, src += 32) {
    BlockQ4_0 b;
    // The value of largest magnitude becomes -8, the end with one step more.
    const float d = LargestMagnitude(src, 32) / -8.0f;
    const float inverse = InverseOrZero(d);
    b.d = HalfFromFloat(d);
    for (int i = 0; i < 16; ++i) {
      const uint8_t low = TruncateTo(src[i] * inverse + 8.5f, 15);
      const uint8_t high = TruncateTo(src[i + 16] * inverse + 8.5f, 15);
      b.qs[i] = static_cast<uint8_t>(low | high << 4);
    }
    memcpy(out + k * sizeof b, &b, sizeof b);
  }
}

}  // namespace lb::quant

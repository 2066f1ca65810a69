// BF16: the upper half of an f32.
#pragma once

#include <stdint.h>
#include <string.h>

#include "quant/half.h"

namespace lb::quant {

static inline void DecodeBF16(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t i = 0; i < n; ++i) {
    uint16_t b;
    memcpy(&b, in + i * 2, 2);
    dst[i] = Bf16ToFloat(b);
  }
}

static inline void EncodeBF16(const float* src, void* dst, int64_t n) {
  char* out = static_cast<char*>(dst);
  for (int64_t i = 0; i < n; ++i) {
    const uint16_t b = Bf16FromFloat(src[i]);
    memcpy(out + i * 2, &b, 2);
  }
}

}  // namespace lb::quant

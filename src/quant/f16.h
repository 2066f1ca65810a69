// F16: IEEE half precision.
#pragma once

#include <stdint.h>
#include <string.h>

#include "quant/half.h"

namespace lb::quant {

static inline void DecodeF16(const void* src, float* dst, int64_t n) {
  const char* in = static_cast<const char*>(src);
  for (int64_t i = 0; i < n; ++i) {
    uint16_t h;
    memcpy(&h, in + i * 2, 2);
    dst[i] = HalfToFloat(h);
  }
}

static inline void EncodeF16(const float* src, void* dst, int64_t n) {
  char* out = static_cast<char*>(dst);
  for (int64_t i = 0; i < n; ++i) {
    const uint16_t h = HalfFromFloat(src[i]);
    memcpy(out + i * 2, &h, 2);
  }
}

}  // namespace lb::quant

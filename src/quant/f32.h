// F32: plain little-endian floats.
#pragma once

#include <stdint.h>
#include <string.h>

namespace lb::quant {

static inline void DecodeF32(const void* src, float* dst, int64_t n) {
  memcpy(dst, src, static_cast<size_t>(n) * sizeof(float));
}

static inline void EncodeF32(const float* src, void* dst, int64_t n) {
  memcpy(dst, src, static_cast<size_t>(n) * sizeof(float));
}

}  // namespace lb::quant

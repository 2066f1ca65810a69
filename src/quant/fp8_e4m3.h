// FP8 with four bits of exponent and three of mantissa (the OCP's E4M3, "FP8 Formats for Deep Learning", arXiv 2209.05433): no
// infinity, one NaN of each sign, at most 448. A cache's format only; GGUF has no number for it.
#pragma once

#include <stdint.h>
#include <string.h>

namespace lb::quant {

static inline float Fp8ToFloat(uint8_t code) {
  // Exponent and mantissa at their places in an f32, whose exponent counts from 120 more; subnormals come out right too.
  uint32_t bits = (code & 0x7fu) << 20;
  float value;
  memcpy(&value, &bits, 4);
  value *= 0x1p120f;
  memcpy(&bits, &value, 4);
  if ((code & 0x7f) == 0x7f) bits = 0x7fc00000;
  bits |= (code & 0x80u) << 24;
  memcpy(&value, &bits, 4);
  return value;
}

// To nearest even; what is larger than 448 becomes 448.
static inline uint8_t Fp8FromFloat(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  const auto sign = static_cast<uint8_t>(bits >> 24 & 0x80);
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) return static_cast<uint8_t>(sign | 0x7f);
  constexpr uint32_t kLargest = 0x43e00000, kLeastNormal = 0x3c800000;  // 448, 2^-6
  if (bits >= kLargest) return static_cast<uint8_t>(sign | 0x7e);
  if (bits < kLeastNormal) {
    float magnitude;
    memcpy(&magnitude, &bits, 4);
    constexpr float kSteps = 0x1p14f;  // the last bit of numbers from here on is 2^-9, a subnormal's step
    const float sum = magnitude + kSteps, none = kSteps;
    uint32_t with, without;
    memcpy(&with, &sum, 4);
    memcpy(&without, &none, 4);
    return static_cast<uint8_t>(sign | (with - without));
  }
  bits += 0x7ffff + (bits >> 20 & 1);
  return static_cast<uint8_t>(sign | ((bits >> 20) - (120 << 3)));
}

static inline void DecodeFp8(const void* src, float* dst, int64_t n) {
  const auto* in = static_cast<const uint8_t*>(src);
  for (int64_t i = 0; i < n; ++i) dst[i] = Fp8ToFloat(in[i]);
}

static inline void EncodeFp8(const float* src, void* dst, int64_t n) {
  auto* out = static_cast<uint8_t*>(dst);
  for (int64_t i = 0; i < n; ++i) out[i] = Fp8FromFloat(src[i]);
}

}  // namespace lb::quant

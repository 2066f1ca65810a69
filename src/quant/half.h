// fp16 and bf16 to and from f32: exact, scalar, every bit pattern (subnormals, infinities, NaN).
//
// Like all block headers here: only C headers and internal linkage, so that a kernel unit built for
// a wide instruction set may include it without its copy being linked into the portable code.
#pragma once

#include <stdint.h>
#include <string.h>

namespace lb::quant {

static inline uint32_t FloatBits(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

static inline float FloatFromBits(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

// A NaN keeps its sign and payload.
static inline float HalfToFloat(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16;
  const uint32_t exponent = (h >> 10) & 0x1f;
  const uint32_t mantissa = h & 0x3ff;
  if (exponent == 0) {
    // Zero or subnormal: mantissa * 2^-24, which f32 holds exactly.
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return FloatFromBits(sign | FloatBits(magnitude));
  }
  if (exponent == 31) return FloatFromBits(sign | 0x7f800000u | mantissa << 13);
  return FloatFromBits(sign | (exponent + 112) << 23 | mantissa << 13);
}

// Rounds to nearest, ties to even; too large becomes infinity, a NaN stays one.
static inline uint16_t HalfFromFloat(float f) {
  const uint32_t bits = FloatBits(f);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    // The top of the payload, but never an empty one: that would be infinity.
    const uint32_t payload = (magnitude >> 13) & 0x3ff;
    return static_cast<uint16_t>(sign | 0x7c00 | (payload == 0 ? 1 : payload));
  }
  if (magnitude >= 0x477ff000u) return sign | 0x7c00;  // from 65520 on
  if (magnitude < 0x33000000u) return sign;            // below 2^-25
  // The significand with its leading one, to be shifted down to half's place for this exponent.
  const uint32_t exponent = magnitude >> 23;
  const uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
  const bool normal = exponent >= 113;
  const uint32_t shift = normal ? 13 : 126 - exponent;
  uint32_t h = significand >> shift;
  const uint32_t rest = significand & ((1u << shift) - 1);
  const uint32_t half = 1u << (shift - 1);
  if (rest > half || (rest == half && (h & 1))) ++h;
  // A carry out of the significand runs into the exponent, which is what it should do.
  if (normal) h += (exponent - 113) << 10;
  return static_cast<uint16_t>(sign | h);
}

static inline float Bf16ToFloat(uint16_t b) {
  return FloatFromBits(static_cast<uint32_t>(b) << 16);
}

// Rounds to nearest, ties to even; a NaN becomes a quiet one with the top of its payload.
static inline uint16_t Bf16FromFloat(float f) {
  const uint32_t bits = FloatBits(f);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}

}  // namespace lb::quant

// The 12 bytes of Q4_K and Q5_K that hold 8 scales and 8 minimums of 6 bits.
//
//   bytes 0-3   low 6 bits: scales 0-3,   high 2 bits: top of scales 4-7
//   bytes 4-7   low 6 bits: minimums 0-3, high 2 bits: top of minimums 4-7
//   bytes 8-11  low half: bottom of scales 4-7, high half: bottom of minimums 4-7
#pragma once

#include <stdint.h>

namespace lb::quant {

static inline int KScale(const uint8_t scales[12], int g) {
  if (g < 4) return scales[g] & 63;
  return (scales[g + 4] & 15) | (scales[g - 4] >> 6) << 4;
}

static inline int KMinimum(const uint8_t scales[12], int g) {
  if (g < 4) return scales[g + 4] & 63;
  return scales[g + 4] >> 4 | (scales[g] >> 6) << 4;
}

}  // namespace lb::quant

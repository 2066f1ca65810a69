// Moves of 16-bit values that AVX2 and AVX-512 builds share.
#pragma once

#include <immintrin.h>

namespace lb::LB_ISA {

// out[d * stride + j] = the d-th of the 16 halves at rows[j] + offset bytes; 8 rows, 16 columns d.
LB_FN void TransposeHalves(const char* const* rows, int64_t offset, uint16_t* out, int64_t stride) {
  __m256i r[8], t[8];
  LB_UNROLL for (int j = 0; j < 8; ++j) {
    r[j] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[j] + offset));
  }
  // Pairs, fours, eights of rows; the two 128-bit halves (columns 0-7 and 8-15) go side by side.
  LB_UNROLL for (int j = 0; j < 4; ++j) {
    t[2 * j] = _mm256_unpacklo_epi16(r[2 * j], r[2 * j + 1]);
    t[2 * j + 1] = _mm256_unpackhi_epi16(r[2 * j], r[2 * j + 1]);
  }
  LB_UNROLL for (int h = 0; h < 2; ++h) {
    LB_UNROLL for (int e = 0; e < 2; ++e) {
      r[4 * h + 2 * e] = _mm256_unpacklo_epi32(t[4 * h + e], t[4 * h + 2 + e]);
      r[4 * h + 2 * e + 1] = _mm256_unpackhi_epi32(t[4 * h + e], t[4 * h + 2 + e]);
    }
  }
  LB_UNROLL for (int d = 0; d < 4; ++d) {
    const __m256i even = _mm256_unpacklo_epi64(r[d], r[4 + d]);
    const __m256i odd = _mm256_unpackhi_epi64(r[d], r[4 + d]);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 2 * d * stride),
                     _mm256_castsi256_si128(even));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + (2 * d + 1) * stride),
                     _mm256_castsi256_si128(odd));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + (2 * d + 8) * stride),
                     _mm256_extracti128_si256(even, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + (2 * d + 9) * stride),
                     _mm256_extracti128_si256(odd, 1));
  }
}

}  // namespace lb::LB_ISA

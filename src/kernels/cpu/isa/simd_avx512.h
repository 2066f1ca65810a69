// AVX-512 with VNNI and VBMI (Ice Lake and later, Zen 4 and later): a vector is one register.
#pragma once

#include <immintrin.h>

namespace lb::LB_ISA {

struct Vf {
  __m512 v;
};
struct Vi {
  __m512i v;
};
using Vb = Vi;

// ---- floats ----
LB_FN Vf Set(float x) { return {_mm512_set1_ps(x)}; }
LB_FN Vf LoadF(const float* p) { return {_mm512_loadu_ps(p)}; }
LB_FN void StoreF(float* p, Vf x) { _mm512_storeu_ps(p, x.v); }
LB_FN __m128i Load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
LB_FN __m256i Load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
LB_FN Vf LoadHalf(const void* p) { return {_mm512_cvtph_ps(Load256(p))}; }
LB_FN void StoreHalf(void* p, Vf x) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT));
}
LB_FN Vf LoadBf16(const void* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(Load256(p)), 16))};
}
// Lanes 2 i and 2 i + 1 change places; eight numbers, each in two lanes.
LB_FN Vf SwapPairs(Vf x) { return {_mm512_permute_ps(x.v, 0xb1)}; }
LB_FN Vf LoadTwice(const float* p) {
  const __m512i lanes = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  return {_mm512_permutexvar_ps(lanes, _mm512_castps256_ps512(_mm256_loadu_ps(p)))};
}
LB_FN Vf Add(Vf x, Vf y) { return {_mm512_add_ps(x.v, y.v)}; }
LB_FN Vf Sub(Vf x, Vf y) { return {_mm512_sub_ps(x.v, y.v)}; }
LB_FN Vf Mul(Vf x, Vf y) { return {_mm512_mul_ps(x.v, y.v)}; }
LB_FN Vf Div(Vf x, Vf y) { return {_mm512_div_ps(x.v, y.v)}; }
LB_FN Vf Fma(Vf x, Vf y, Vf z) { return {_mm512_fmadd_ps(x.v, y.v, z.v)}; }
// x > y ? x : y, so y where either is no number.
LB_FN Vf Max(Vf x, Vf y) { return {_mm512_max_ps(x.v, y.v)}; }
LB_FN Vf Min(Vf x, Vf y) { return {_mm512_min_ps(x.v, y.v)}; }
LB_FN Vf Abs(Vf x) { return {_mm512_abs_ps(x.v)}; }
// Sum and largest, halves onto halves: 16 -> 8 -> 4 -> 2 -> 1.
LB_FN float Sum(Vf x) {
  const __m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
LB_FN float Largest(Vf x) {
  const __m256 m8 = _mm256_max_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  const __m128 m4 = _mm_max_ps(_mm256_castps256_ps128(m8), _mm256_extractf128_ps(m8, 1));
  const __m128 m2 = _mm_max_ps(m4, _mm_movehl_ps(m4, m4));
  return _mm_cvtss_f32(_mm_max_ss(m2, _mm_movehdup_ps(m2)));
}

// ---- integers ----
LB_FN Vi SetI(int32_t x) { return {_mm512_set1_epi32(x)}; }
LB_FN Vf ToFloat(Vi x) { return {_mm512_cvtepi32_ps(x.v)}; }
LB_FN Vi ToInt(Vf x) { return {_mm512_cvtps_epi32(x.v)}; }  // to nearest even
LB_FN Vi AddI(Vi x, Vi y) { return {_mm512_add_epi32(x.v, y.v)}; }
LB_FN Vi AndI(Vi x, Vi y) { return {_mm512_and_si512(x.v, y.v)}; }
LB_FN Vi OrI(Vi x, Vi y) { return {_mm512_or_si512(x.v, y.v)}; }
LB_FN Vi ShlI(Vi x, int n) { return {_mm512_slli_epi32(x.v, static_cast<unsigned>(n))}; }
LB_FN Vi ShrI(Vi x, int n) { return {_mm512_srli_epi32(x.v, static_cast<unsigned>(n))}; }
LB_FN Vf AsFloat(Vi x) { return {_mm512_castsi512_ps(x.v)}; }
LB_FN Vi AsInt(Vf x) { return {_mm512_castps_si512(x.v)}; }
// 16 bytes to 16 numbers.
LB_FN Vi LoadU8(const uint8_t* p) { return {_mm512_cvtepu8_epi32(Load128(p))}; }
LB_FN Vi LoadS8(const void* p) { return {_mm512_cvtepi8_epi32(Load128(p))}; }
// The low byte of each number, saturated as signed.
LB_FN void StoreS8(int8_t* p, Vi x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(x.v));
}
// Of 32 signed bytes: half h (16 of them): pair[2 h] the sum of bytes 4 i and 4 i + 1, pair[2 h + 1] of
// bytes 4 i + 2 and 4 i + 3, i from 0 to 3.
LB_FN void SumPairs(const int8_t* q, int16_t pair[4]) {
  // In two loads: one over what two stores have just written would wait until both are in the cache.
  const __m256i v = _mm256_inserti128_si256(_mm256_castsi128_si256(Load128(q)), Load128(q + 16), 1);
  __m256i s = _mm256_maddubs_epi16(_mm256_set1_epi8(1), v);
  s = _mm256_add_epi16(s, _mm256_shuffle_epi32(s, 0x4e));
  s = _mm256_add_epi16(s, _mm256_shuffle_epi32(s, 0xb1));
  const int32_t low = _mm256_extract_epi32(s, 0), high = _mm256_extract_epi32(s, 4);
  memcpy(pair, &low, 4);
  memcpy(pair + 2, &high, 4);
}
// v where lo <= lane < hi, else other.
LB_FN Vf KeepRange(Vf x, int lo, int hi, Vf other) {
  const int from = lo < 0 ? 0 : lo > 16 ? 16 : lo, to = hi < 0 ? 0 : hi > 16 ? 16 : hi;
  const uint32_t below_to = (1u << to) - 1, below_from = (1u << from) - 1;
  return {_mm512_mask_blend_ps(static_cast<__mmask16>(below_to & ~below_from), other.v, x.v)};
}

// ---- bytes ----
LB_FN Vb LoadB(const void* p) { return {_mm512_loadu_si512(p)}; }
LB_FN void StoreB(void* p, Vb x) { _mm512_storeu_si512(p, x.v); }
LB_FN Vb SetB(int x) { return {_mm512_set1_epi8(static_cast<char>(x))}; }
LB_FN Vb AndB(Vb x, Vb y) { return AndI(x, y); }
LB_FN Vb OrB(Vb x, Vb y) { return OrI(x, y); }
// Shifts by 16-bit lanes: bits that cross a byte are for the caller to mask.
LB_FN Vb ShrW(Vb x, int n) { return {_mm512_srli_epi16(x.v, static_cast<unsigned>(n))}; }
LB_FN Vb ShlW(Vb x, int n) { return {_mm512_slli_epi16(x.v, static_cast<unsigned>(n))}; }
// table[v] for 0 <= v < 16.
LB_FN Vb Lookup(const uint8_t* table, Vb v) {
  return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(Load128(table)), v.v)};
}

#if defined(__AMX_INT8__) || defined(__AMXINT8__)  // the second: clang before 17
static constexpr bool kSignedDot = true;  // products of tiles
#else
static constexpr bool kSignedDot = false;
#endif
LB_FN Vb SubB(Vb x, Vb y) { return {_mm512_sub_epi8(x.v, y.v)}; }
LB_FN Vi Dot4(Vi acc, Vb w, const void* a) {
  int32_t word;
  memcpy(&word, a, 4);
  return {_mm512_dpbusd_epi32(acc.v, w.v, _mm512_set1_epi32(word))};
}

// ---- attention ----
// out[d * stride + i] = in[i * in_stride + d] for 8 rows i, 8 columns d.
LB_FN void Transpose8(const float* in, int64_t in_stride, float* out, int64_t stride) {
  __m256 r[8], t[8];
  LB_UNROLL for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(in + i * in_stride);
  LB_UNROLL for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  LB_UNROLL for (int i = 0; i < 2; ++i) {
    r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
    r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
  }
  LB_UNROLL for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(out + i * stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(out + (i + 4) * stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

}  // namespace lb::LB_ISA

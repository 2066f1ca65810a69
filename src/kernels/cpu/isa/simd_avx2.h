// AVX2 + FMA + F16C, with or without AVX-VNNI.
#pragma once

#include <immintrin.h>

#ifndef __AVXVNNI__
#define LB_MADD16 1
#endif

namespace lb::LB_ISA {

struct Vf {
  __m256 a, b;
};
struct Vi {
  __m256i a, b;
};
using Vb = Vi;
using Vh = Vi;

// ---- floats ----
LB_FN Vf Set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
LB_FN Vf LoadF(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
LB_FN void StoreF(float* p, Vf v) {
  _mm256_storeu_ps(p, v.a);
  _mm256_storeu_ps(p + 8, v.b);
}
LB_FN __m128i Load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
LB_FN Vf LoadHalf(const void* p) {
  const char* c = static_cast<const char*>(p);
  return {_mm256_cvtph_ps(Load128(c)), _mm256_cvtph_ps(Load128(c + 16))};
}
LB_FN void StoreHalf(void* p, Vf v) {
  __m128i* out = static_cast<__m128i*>(p);
  _mm_storeu_si128(out, _mm256_cvtps_ph(v.a, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128(out + 1, _mm256_cvtps_ph(v.b, _MM_FROUND_TO_NEAREST_INT));
}
LB_FN Vf LoadBf16(const void* p) {
  const char* c = static_cast<const char*>(p);
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(Load128(c)), 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(Load128(c + 16)), 16))};
}
// Lanes 2 i and 2 i + 1 change places; eight numbers, each in two lanes.
LB_FN Vf SwapPairs(Vf x) { return {_mm256_permute_ps(x.a, 0xb1), _mm256_permute_ps(x.b, 0xb1)}; }
LB_FN __m256 FourTwice(const float* p) {
  return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
}
LB_FN Vf LoadTwice(const float* p) { return {FourTwice(p), FourTwice(p + 4)}; }
LB_FN Vf Add(Vf x, Vf y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
LB_FN Vf Sub(Vf x, Vf y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
LB_FN Vf Mul(Vf x, Vf y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
LB_FN Vf Div(Vf x, Vf y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
LB_FN Vf Fma(Vf x, Vf y, Vf z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
// x > y ? x : y, so y where either is no number.
LB_FN Vf Max(Vf x, Vf y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
LB_FN Vf Min(Vf x, Vf y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
LB_FN Vf Abs(Vf x) {
  const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  return {_mm256_and_ps(x.a, mask), _mm256_and_ps(x.b, mask)};
}
// Sum and largest, halves onto halves: 16 -> 8 -> 4 -> 2 -> 1.
LB_FN float Sum(Vf v) {
  const __m256 s8 = _mm256_add_ps(v.a, v.b);
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
LB_FN float Largest(Vf v) {
  const __m256 m8 = _mm256_max_ps(v.a, v.b);
  const __m128 m4 = _mm_max_ps(_mm256_castps256_ps128(m8), _mm256_extractf128_ps(m8, 1));
  const __m128 m2 = _mm_max_ps(m4, _mm_movehl_ps(m4, m4));
  return _mm_cvtss_f32(_mm_max_ss(m2, _mm_movehdup_ps(m2)));
}

// ---- integers ----
LB_FN Vi SetI(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
LB_FN Vf ToFloat(Vi v) { return {_mm256_cvtepi32_ps(v.a), _mm256_cvtepi32_ps(v.b)}; }
LB_FN Vi ToInt(Vf v) { return {_mm256_cvtps_epi32(v.a), _mm256_cvtps_epi32(v.b)}; }  // to nearest even
LB_FN Vi AddI(Vi x, Vi y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
LB_FN Vi AndI(Vi x, Vi y) { return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)}; }
LB_FN Vi OrI(Vi x, Vi y) { return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
LB_FN Vi ShlI(Vi x, int n) { return {_mm256_slli_epi32(x.a, n), _mm256_slli_epi32(x.b, n)}; }
LB_FN Vi ShrI(Vi x, int n) { return {_mm256_srli_epi32(x.a, n), _mm256_srli_epi32(x.b, n)}; }
LB_FN Vf AsFloat(Vi v) { return {_mm256_castsi256_ps(v.a), _mm256_castsi256_ps(v.b)}; }
LB_FN Vi AsInt(Vf v) { return {_mm256_castps_si256(v.a), _mm256_castps_si256(v.b)}; }
// 16 bytes to 16 numbers.
LB_FN Vi LoadU8(const uint8_t* p) {
  const __m128i v = Load128(p);
  return {_mm256_cvtepu8_epi32(v), _mm256_cvtepu8_epi32(_mm_srli_si128(v, 8))};
}
LB_FN Vi LoadS8(const void* p) {
  const __m128i v = Load128(p);
  return {_mm256_cvtepi8_epi32(v), _mm256_cvtepi8_epi32(_mm_srli_si128(v, 8))};
}
// The low byte of each number, saturated as signed.
LB_FN void StoreS8(int8_t* p, Vi v) {
  const __m256i w = _mm256_packs_epi32(v.a, v.b);
  const __m128i lo = _mm256_castsi256_si128(w), hi = _mm256_extracti128_si256(w, 1);
  // packs works on 128-bit halves: put the quarters back in order.
  const __m128i ordered_lo = _mm_unpacklo_epi64(lo, hi), ordered_hi = _mm_unpackhi_epi64(lo, hi);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(ordered_lo, ordered_hi));
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
LB_FN Vf KeepRange(Vf v, int lo, int hi, Vf other) {
  const __m256i ia = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i ib = _mm256_add_epi32(ia, _mm256_set1_epi32(8));
  const __m256i l = _mm256_set1_epi32(lo - 1), h = _mm256_set1_epi32(hi);
  const __m256i ma = _mm256_and_si256(_mm256_cmpgt_epi32(ia, l), _mm256_cmpgt_epi32(h, ia));
  const __m256i mb = _mm256_and_si256(_mm256_cmpgt_epi32(ib, l), _mm256_cmpgt_epi32(h, ib));
  return {_mm256_blendv_ps(other.a, v.a, _mm256_castsi256_ps(ma)),
          _mm256_blendv_ps(other.b, v.b, _mm256_castsi256_ps(mb))};
}

// ---- bytes ----
LB_FN Vb LoadB(const void* p) {
  const __m256i* q = static_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1)};
}
LB_FN void StoreB(void* p, Vb v) {
  __m256i* q = static_cast<__m256i*>(p);
  _mm256_storeu_si256(q, v.a);
  _mm256_storeu_si256(q + 1, v.b);
}
LB_FN Vb SetB(int x) {
  return {_mm256_set1_epi8(static_cast<char>(x)), _mm256_set1_epi8(static_cast<char>(x))};
}
LB_FN Vb AndB(Vb x, Vb y) { return AndI(x, y); }
LB_FN Vb OrB(Vb x, Vb y) { return OrI(x, y); }
LB_FN Vb XorB(Vb x, Vb y) { return {_mm256_xor_si256(x.a, y.a), _mm256_xor_si256(x.b, y.b)}; }
// Shifts by 16-bit lanes: bits that cross a byte are for the caller to mask.
LB_FN Vb ShrW(Vb x, int n) { return {_mm256_srli_epi16(x.a, n), _mm256_srli_epi16(x.b, n)}; }
LB_FN Vb ShlW(Vb x, int n) { return {_mm256_slli_epi16(x.a, n), _mm256_slli_epi16(x.b, n)}; }
// table[v] for 0 <= v < 16.
LB_FN Vb Lookup(const uint8_t* table, Vb v) {
  const __m256i t = _mm256_broadcastsi128_si256(Load128(table));
  return {_mm256_shuffle_epi8(t, v.a), _mm256_shuffle_epi8(t, v.b)};
}

// ---- products of bytes ----
#ifdef LB_MADD16
LB_FN Vh SetH(int16_t x) { return {_mm256_set1_epi16(x), _mm256_set1_epi16(x)}; }
// 16 bits, wrapping.
LB_FN Vh AddH(Vh x, Vh y) { return {_mm256_add_epi16(x.a, y.a), _mm256_add_epi16(x.b, y.b)}; }
LB_FN Vh MulH(Vh x, Vh y) { return {_mm256_mullo_epi16(x.a, y.a), _mm256_mullo_epi16(x.b, y.b)}; }
// w[2 i] * a[2 i] + w[2 i + 1] * a[2 i + 1], saturating: w unsigned, `a` the same 4 signed bytes for all.
LB_FN Vh Maddubs(Vb w, const void* a) {
  int32_t word;
  memcpy(&word, a, 4);
  const __m256i v = _mm256_set1_epi32(word);
  return {_mm256_maddubs_epi16(w.a, v), _mm256_maddubs_epi16(w.b, v)};
}
// Pairs of 16-bit products summed to 32.
LB_FN Vi MaddW(Vh x, Vh y) {
  return {_mm256_madd_epi16(x.a, y.a), _mm256_madd_epi16(x.b, y.b)};
}
LB_FN Vb AbsB(Vb x) { return {_mm256_abs_epi8(x.a), _mm256_abs_epi8(x.b)}; }
// As Maddubs for signed w, `magnitude` its absolute value: |w| * (a with w's sign). Never saturates,
// since 2 * 128 * 127 < 2^15 and no activation is -128.
LB_FN Vh MaddSigned(Vb w, Vb magnitude, const void* a) {
  int32_t word;
  memcpy(&word, a, 4);
  const __m256i v = _mm256_set1_epi32(word);
  return {_mm256_maddubs_epi16(magnitude.a, _mm256_sign_epi8(v, w.a)),
          _mm256_maddubs_epi16(magnitude.b, _mm256_sign_epi8(v, w.b))};
}
#else
static constexpr bool kSignedDot = false;
LB_FN Vi Dot4(Vi acc, Vb w, const void* a) {
  int32_t word;
  memcpy(&word, a, 4);
  const __m256i v = _mm256_set1_epi32(word);
  return {_mm256_dpbusd_avx_epi32(acc.a, w.a, v), _mm256_dpbusd_avx_epi32(acc.b, w.b, v)};
}
#endif

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

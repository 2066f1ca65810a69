// AArch64 with the dot-product instructions (Armv8.2 and later): a vector is four registers.
#pragma once

#include <arm_neon.h>

namespace lb::LB_ISA {

struct Vf {
  float32x4_t v[4];
};
struct Vi {
  int32x4_t v[4];
};
struct Vb {
  uint8x16_t v[4];
};

// Each of the four registers in turn.
#define LB_EACH(type, expr)                             \
  type out;                                             \
  LB_UNROLL for (int i = 0; i < 4; ++i) out.v[i] = (expr); \
  return out

// ---- floats ----
LB_FN Vf Set(float x) { LB_EACH(Vf, vdupq_n_f32(x)); }
LB_FN Vf LoadF(const float* p) { LB_EACH(Vf, vld1q_f32(p + 4 * i)); }
LB_FN void StoreF(float* p, Vf x) {
  LB_UNROLL for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, x.v[i]);
}
LB_FN uint16x4_t Load4Halves(const void* p, int i) {
  return vld1_u16(static_cast<const uint16_t*>(p) + 4 * i);
}
LB_FN Vf LoadHalf(const void* p) {
  LB_EACH(Vf, vcvt_f32_f16(vreinterpret_f16_u16(Load4Halves(p, i))));
}
LB_FN void StoreHalf(void* p, Vf x) {
  LB_UNROLL for (int i = 0; i < 4; ++i) {
    vst1_u16(static_cast<uint16_t*>(p) + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(x.v[i])));
  }
}
LB_FN Vf LoadBf16(const void* p) {
  LB_EACH(Vf, vreinterpretq_f32_u32(vshll_n_u16(Load4Halves(p, i), 16)));
}
// Lanes 2 i and 2 i + 1 change places; eight numbers, each in two lanes.
LB_FN Vf SwapPairs(Vf x) { LB_EACH(Vf, vrev64q_f32(x.v[i])); }
LB_FN float32x4_t TwoTwice(float32x2_t x) { return vcombine_f32(vdup_lane_f32(x, 0), vdup_lane_f32(x, 1)); }
LB_FN Vf LoadTwice(const float* p) { LB_EACH(Vf, TwoTwice(vld1_f32(p + 2 * i))); }
LB_FN Vf Add(Vf x, Vf y) { LB_EACH(Vf, vaddq_f32(x.v[i], y.v[i])); }
LB_FN Vf Sub(Vf x, Vf y) { LB_EACH(Vf, vsubq_f32(x.v[i], y.v[i])); }
LB_FN Vf Mul(Vf x, Vf y) { LB_EACH(Vf, vmulq_f32(x.v[i], y.v[i])); }
LB_FN Vf Div(Vf x, Vf y) { LB_EACH(Vf, vdivq_f32(x.v[i], y.v[i])); }
LB_FN Vf Fma(Vf x, Vf y, Vf z) { LB_EACH(Vf, vfmaq_f32(z.v[i], x.v[i], y.v[i])); }
// x > y ? x : y, so y where either is no number (which vmaxq does not do).
LB_FN Vf Max(Vf x, Vf y) {
  LB_EACH(Vf, vbslq_f32(vcgtq_f32(x.v[i], y.v[i]), x.v[i], y.v[i]));
}
LB_FN Vf Min(Vf x, Vf y) {
  LB_EACH(Vf, vbslq_f32(vcltq_f32(x.v[i], y.v[i]), x.v[i], y.v[i]));
}
LB_FN Vf Abs(Vf x) { LB_EACH(Vf, vabsq_f32(x.v[i])); }
// Sum and largest, halves onto halves: 16 -> 8 -> 4 -> 2 -> 1.
LB_FN float Sum(Vf x) {
  const float32x4_t s4 = vaddq_f32(vaddq_f32(x.v[0], x.v[2]), vaddq_f32(x.v[1], x.v[3]));
  const float32x2_t s2 = vadd_f32(vget_low_f32(s4), vget_high_f32(s4));
  return vget_lane_f32(s2, 0) + vget_lane_f32(s2, 1);
}
LB_FN float Largest(Vf x) {
  float v[16];
  StoreF(v, x);
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) v[i] = v[i] > v[i + half] ? v[i] : v[i + half];
  }
  return v[0];
}

// ---- integers ----
LB_FN Vi SetI(int32_t x) { LB_EACH(Vi, vdupq_n_s32(x)); }
LB_FN Vf ToFloat(Vi x) { LB_EACH(Vf, vcvtq_f32_s32(x.v[i])); }
LB_FN Vi ToInt(Vf x) { LB_EACH(Vi, vcvtnq_s32_f32(x.v[i])); }  // to nearest even
LB_FN Vi AddI(Vi x, Vi y) { LB_EACH(Vi, vaddq_s32(x.v[i], y.v[i])); }
LB_FN Vi AndI(Vi x, Vi y) { LB_EACH(Vi, vandq_s32(x.v[i], y.v[i])); }
LB_FN Vi OrI(Vi x, Vi y) { LB_EACH(Vi, vorrq_s32(x.v[i], y.v[i])); }
LB_FN Vi ShlI(Vi x, int n) { LB_EACH(Vi, vshlq_s32(x.v[i], vdupq_n_s32(n))); }
LB_FN Vi ShrI(Vi x, int n) {
  LB_EACH(Vi, vreinterpretq_s32_u32(
                  vshlq_u32(vreinterpretq_u32_s32(x.v[i]), vdupq_n_s32(-n))));
}
LB_FN Vf AsFloat(Vi x) { LB_EACH(Vf, vreinterpretq_f32_s32(x.v[i])); }
LB_FN Vi AsInt(Vf x) { LB_EACH(Vi, vreinterpretq_s32_f32(x.v[i])); }
// 16 bytes to 16 numbers.
LB_FN Vi LoadU8(const uint8_t* p) {
  const uint8x16_t b = vld1q_u8(p);
  const uint16x8_t lo = vmovl_u8(vget_low_u8(b)), hi = vmovl_u8(vget_high_u8(b));
  return {{vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(lo))),
           vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(lo))),
           vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(hi))),
           vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(hi)))}};
}
LB_FN Vi LoadS8(const void* p) {
  const int8x16_t b = vld1q_s8(static_cast<const int8_t*>(p));
  const int16x8_t lo = vmovl_s8(vget_low_s8(b)), hi = vmovl_s8(vget_high_s8(b));
  return {{vmovl_s16(vget_low_s16(lo)), vmovl_s16(vget_high_s16(lo)), vmovl_s16(vget_low_s16(hi)),
           vmovl_s16(vget_high_s16(hi))}};
}
// The low byte of each number, saturated as signed.
LB_FN void StoreS8(int8_t* p, Vi x) {
  const int16x8_t lo = vcombine_s16(vqmovn_s32(x.v[0]), vqmovn_s32(x.v[1]));
  const int16x8_t hi = vcombine_s16(vqmovn_s32(x.v[2]), vqmovn_s32(x.v[3]));
  vst1q_s8(p, vcombine_s8(vqmovn_s16(lo), vqmovn_s16(hi)));
}
// Of 32 signed bytes: half h (16 of them): pair[2 h] the sum of bytes 4 i and 4 i + 1, pair[2 h + 1] of
// bytes 4 i + 2 and 4 i + 3, i from 0 to 3.
LB_FN void SumPairs(const int8_t* q, int16_t pair[4]) {
  LB_UNROLL for (int h = 0; h < 2; ++h) {
    const int16x8_t s = vpaddlq_s8(vld1q_s8(q + 16 * h));
    const int16x4_t t = vadd_s16(vget_low_s16(s), vget_high_s16(s));
    pair[2 * h] = static_cast<int16_t>(vget_lane_s16(t, 0) + vget_lane_s16(t, 2));
    pair[2 * h + 1] = static_cast<int16_t>(vget_lane_s16(t, 1) + vget_lane_s16(t, 3));
  }
}
// v where lo <= lane < hi, else other.
LB_FN Vf KeepRange(Vf x, int lo, int hi, Vf other) {
  const int32_t first[4] = {0, 1, 2, 3};
  const int32x4_t iota = vld1q_s32(first);
  Vf out;
  LB_UNROLL for (int i = 0; i < 4; ++i) {
    const int32x4_t lane = vaddq_s32(iota, vdupq_n_s32(4 * i));
    const uint32x4_t keep =
        vandq_u32(vcgeq_s32(lane, vdupq_n_s32(lo)), vcltq_s32(lane, vdupq_n_s32(hi)));
    out.v[i] = vbslq_f32(keep, x.v[i], other.v[i]);
  }
  return out;
}

// ---- bytes ----
LB_FN Vb LoadB(const void* p) { LB_EACH(Vb, vld1q_u8(static_cast<const uint8_t*>(p) + 16 * i)); }
LB_FN void StoreB(void* p, Vb x) {
  LB_UNROLL for (int i = 0; i < 4; ++i) vst1q_u8(static_cast<uint8_t*>(p) + 16 * i, x.v[i]);
}
LB_FN Vb SetB(int x) { LB_EACH(Vb, vdupq_n_u8(static_cast<uint8_t>(x))); }
LB_FN Vb AndB(Vb x, Vb y) { LB_EACH(Vb, vandq_u8(x.v[i], y.v[i])); }
LB_FN Vb OrB(Vb x, Vb y) { LB_EACH(Vb, vorrq_u8(x.v[i], y.v[i])); }
// By bytes: the callers mask what crosses a byte's border elsewhere.
LB_FN Vb ShrW(Vb x, int n) {
  LB_EACH(Vb, vshlq_u8(x.v[i], vdupq_n_s8(static_cast<int8_t>(-n))));
}
LB_FN Vb ShlW(Vb x, int n) {
  LB_EACH(Vb, vshlq_u8(x.v[i], vdupq_n_s8(static_cast<int8_t>(n))));
}
// table[v] for 0 <= v < 16.
LB_FN Vb Lookup(const uint8_t* table, Vb x) { LB_EACH(Vb, vqtbl1q_u8(vld1q_u8(table), x.v[i])); }

static constexpr bool kSignedDot = true;
LB_FN Vb SubB(Vb x, Vb y) { LB_EACH(Vb, vsubq_u8(x.v[i], y.v[i])); }
LB_FN Vi Dot4(Vi acc, Vb w, const void* a) {
  int32_t word;
  memcpy(&word, a, 4);
  const int8x16_t q = vreinterpretq_s8_s32(vdupq_n_s32(word));
  LB_EACH(Vi, vdotq_s32(acc.v[i], vreinterpretq_s8_u8(w.v[i]), q));
}
#undef LB_EACH

// ---- attention ----
// out[d * stride + i] = in[i * in_stride + d] for 8 rows i, 8 columns d.
LB_FN void Transpose8(const float* in, int64_t in_stride, float* out, int64_t stride) {
  // Four rows and four columns at a time: the structured load takes the columns apart.
  for (int i = 0; i < 8; i += 4) {
    for (int d = 0; d < 8; d += 4) {
      float rows[16];
      LB_UNROLL for (int r = 0; r < 4; ++r) {
        vst1q_f32(rows + 4 * r, vld1q_f32(in + (i + r) * in_stride + d));
      }
      const float32x4x4_t columns = vld4q_f32(rows);
      LB_UNROLL for (int c = 0; c < 4; ++c) {
        vst1q_f32(out + (d + c) * stride + i, columns.val[c]);
      }
    }
  }
}

}  // namespace lb::LB_ISA

// Plain C++: for processors without the wide sets, and as the witness that the kernels mean the same
// everywhere.
#pragma once

#include "quant/half.h"

namespace lb::LB_ISA {

struct Vf {
  float v[16];
};
struct Vi {
  int32_t v[16];
};
struct Vb {
  uint8_t v[64];
};

#define LB_LANES(expr)                            \
  for (int i = 0; i < 16; ++i) out.v[i] = (expr); \
  return out

// a * b + c rounded once, without an instruction for it. The product is exact in double; the sum is
// rounded to odd, so that the rounding to float is the only one that counts.
LB_FN float FmaOne(float a, float b, float c) {
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const double addend = static_cast<double>(c);
  double sum = product + addend;
  const double back = sum - product;
  const double error = (product - (sum - back)) + (addend - back);
  uint64_t bits;
  memcpy(&bits, &sum, 8);
  // error is NaN where sum is not finite: left alone.
  if ((error > 0 || error < 0) && (bits & 1) == 0) {
    bits += (error > 0) == (sum > 0) ? 1 : static_cast<uint64_t>(-1);
    memcpy(&sum, &bits, 8);
  }
  return static_cast<float>(sum);
}

// ---- floats ----
LB_FN Vf Set(float x) { Vf out; LB_LANES(x); }
LB_FN Vf LoadF(const float* p) { Vf out; LB_LANES(p[i]); }
LB_FN void StoreF(float* p, Vf v) { memcpy(p, v.v, sizeof v.v); }
LB_FN uint16_t HalfAt(const void* p, int i) {
  uint16_t h;
  memcpy(&h, static_cast<const char*>(p) + 2 * i, 2);
  return h;
}
LB_FN Vf LoadHalf(const void* p) { Vf out; LB_LANES(quant::HalfToFloat(HalfAt(p, i))); }
LB_FN Vf LoadBf16(const void* p) { Vf out; LB_LANES(quant::Bf16ToFloat(HalfAt(p, i))); }
LB_FN void StoreHalf(void* p, Vf v) {
  for (int i = 0; i < 16; ++i) {
    const uint16_t h = quant::HalfFromFloat(v.v[i]);
    memcpy(static_cast<char*>(p) + 2 * i, &h, 2);
  }
}
// Lanes 2 i and 2 i + 1 change places; eight numbers, each in two lanes.
LB_FN Vf SwapPairs(Vf x) { Vf out; LB_LANES(x.v[i ^ 1]); }
LB_FN Vf LoadTwice(const float* p) { Vf out; LB_LANES(p[i / 2]); }
LB_FN Vf Add(Vf x, Vf y) { Vf out; LB_LANES(x.v[i] + y.v[i]); }
LB_FN Vf Sub(Vf x, Vf y) { Vf out; LB_LANES(x.v[i] - y.v[i]); }
LB_FN Vf Mul(Vf x, Vf y) { Vf out; LB_LANES(x.v[i] * y.v[i]); }
LB_FN Vf Div(Vf x, Vf y) { Vf out; LB_LANES(x.v[i] / y.v[i]); }
LB_FN Vf Fma(Vf x, Vf y, Vf z) { Vf out; LB_LANES(FmaOne(x.v[i], y.v[i], z.v[i])); }
LB_FN Vf Max(Vf x, Vf y) { Vf out; LB_LANES(x.v[i] > y.v[i] ? x.v[i] : y.v[i]); }
LB_FN Vf Min(Vf x, Vf y) { Vf out; LB_LANES(x.v[i] < y.v[i] ? x.v[i] : y.v[i]); }
LB_FN Vf Abs(Vf x) { Vf out; LB_LANES(fabsf(x.v[i])); }
LB_FN float Sum(Vf v) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) v.v[i] += v.v[i + half];
  }
  return v.v[0];
}
LB_FN float Largest(Vf v) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) v.v[i] = v.v[i] > v.v[i + half] ? v.v[i] : v.v[i + half];
  }
  return v.v[0];
}

// ---- integers ----
LB_FN Vi SetI(int32_t x) { Vi out; LB_LANES(x); }
LB_FN Vf ToFloat(Vi v) { Vf out; LB_LANES(static_cast<float>(v.v[i])); }
// To nearest even; what does not fit gives the least number, as vector units do.
LB_FN int32_t RoundOne(float x) {
  return fabsf(x) < 2147483648.0f ? static_cast<int32_t>(lrintf(x)) : INT32_MIN;
}
LB_FN Vi ToInt(Vf v) { Vi out; LB_LANES(RoundOne(v.v[i])); }
LB_FN Vi AddI(Vi x, Vi y) {
  Vi out;
  LB_LANES(static_cast<int32_t>(static_cast<uint32_t>(x.v[i]) + static_cast<uint32_t>(y.v[i])));
}
LB_FN Vi AndI(Vi x, Vi y) { Vi out; LB_LANES(x.v[i] & y.v[i]); }
LB_FN Vi OrI(Vi x, Vi y) { Vi out; LB_LANES(x.v[i] | y.v[i]); }
LB_FN Vi ShlI(Vi x, int n) {
  Vi out;
  LB_LANES(static_cast<int32_t>(static_cast<uint32_t>(x.v[i]) << n));
}
LB_FN Vi ShrI(Vi x, int n) {
  Vi out;
  LB_LANES(static_cast<int32_t>(static_cast<uint32_t>(x.v[i]) >> n));
}
LB_FN Vf AsFloat(Vi v) {
  Vf out;
  memcpy(out.v, v.v, sizeof out.v);
  return out;
}
LB_FN Vi AsInt(Vf v) {
  Vi out;
  memcpy(out.v, v.v, sizeof out.v);
  return out;
}
LB_FN Vi LoadU8(const uint8_t* p) { Vi out; LB_LANES(p[i]); }
LB_FN Vi LoadS8(const void* p) { Vi out; LB_LANES(static_cast<const int8_t*>(p)[i]); }
LB_FN void StoreS8(int8_t* p, Vi v) {
  for (int i = 0; i < 16; ++i) {
    const int32_t x = v.v[i];
    p[i] = static_cast<int8_t>(x > 127 ? 127 : x < -128 ? -128 : x);
  }
}
LB_FN void SumPairs(const int8_t* q, int16_t pair[4]) {
  for (int p = 0; p < 4; ++p) {
    const int8_t* first = q + p / 2 * 16 + p % 2 * 2;
    int sum = 0;
    for (int i = 0; i < 16; i += 4) sum += first[i] + first[i + 1];
    pair[p] = static_cast<int16_t>(sum);
  }
}
LB_FN Vf KeepRange(Vf v, int lo, int hi, Vf other) {
  Vf out;
  LB_LANES(i >= lo && i < hi ? v.v[i] : other.v[i]);
}
#undef LB_LANES

// ---- bytes ----
#define LB_BYTES(expr)                                                  \
  Vb out;                                                               \
  for (int i = 0; i < 64; ++i) out.v[i] = static_cast<uint8_t>((expr)); \
  return out

LB_FN Vb LoadB(const void* p) {
  Vb out;
  memcpy(out.v, p, 64);
  return out;
}
LB_FN void StoreB(void* p, Vb v) { memcpy(p, v.v, 64); }
LB_FN Vb SetB(int x) { LB_BYTES(x); }
LB_FN Vb AndB(Vb x, Vb y) { LB_BYTES(x.v[i] & y.v[i]); }
LB_FN Vb OrB(Vb x, Vb y) { LB_BYTES(x.v[i] | y.v[i]); }
// By bytes: the callers mask what crosses a byte's border elsewhere.
LB_FN Vb ShrW(Vb x, int n) { LB_BYTES(x.v[i] >> n); }
LB_FN Vb ShlW(Vb x, int n) { LB_BYTES(x.v[i] << n); }
LB_FN Vb Lookup(const uint8_t* table, Vb v) { LB_BYTES(table[v.v[i]]); }
#undef LB_BYTES

static constexpr bool kSignedDot = false;
LB_FN Vb SubB(Vb x, Vb) { return x; }
LB_FN Vi Dot4(Vi acc, Vb w, const void* a) {
  const int8_t* q = static_cast<const int8_t*>(a);
  for (int i = 0; i < 16; ++i) {
    acc.v[i] += w.v[4 * i] * q[0] + w.v[4 * i + 1] * q[1] + w.v[4 * i + 2] * q[2] +
                w.v[4 * i + 3] * q[3];
  }
  return acc;
}

LB_FN void Transpose8(const float* in, int64_t in_stride, float* out, int64_t stride) {
  for (int i = 0; i < 8; ++i) {
    for (int d = 0; d < 8; ++d) out[d * stride + i] = in[i * in_stride + d];
  }
}

}  // namespace lb::LB_ISA

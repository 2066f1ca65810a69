// A chunk of keys and values out of the pool's blocks, in the form that the products of attention take:
// keys transposed, so that a vector is one dimension of 16 keys.
#pragma once

#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/isa/simd.h"
#include "quant/fp8_e4m3.h"
#include "quant/half.h"

namespace lb::LB_ISA {

static constexpr int kBlockTokens = 16;  // kKvBlockTokens of kernels/ops.h, checked in cpu_ops.cc
static constexpr int kLanes = 16;
static constexpr int kVectors = kKeyChunk / kLanes;
LB_FN int RoundUp16(int n) { return (n + 15) / 16 * 16; }

LB_FN Vf LoadFp8(const void* p) {
  const Vi code = LoadU8(static_cast<const uint8_t*>(p)), low = AndI(code, SetI(0x7f));
  const Vi value = AsInt(Mul(AsFloat(ShlI(low, 20)), Set(0x1p120f)));
  // The last code, 480 by its bits, is a NaN: the rest of its exponent.
  const Vi last = AndI(AddI(low, SetI(1)), SetI(0x80));
  const Vi nan = OrI(OrI(ShlI(last, 22), ShlI(last, 21)), OrI(ShlI(last, 20), ShlI(last, 19)));
  return AsFloat(OrI(OrI(value, nan), ShlI(AndI(code, SetI(0x80)), 24)));
}

// 16 values of one row of the pool.
LB_FN Vf Load16(int dtype, const char* row, int i) {
  if (dtype == kPackF16) return LoadHalf(row + 2 * i);
  if (dtype == kPackBF16) return LoadBf16(row + 2 * i);
  if (dtype == kPackF32) return LoadF(reinterpret_cast<const float*>(row) + i);
  if (dtype == kCacheFp8) return LoadFp8(row + i);
  const int block = i / 32, half = i % 32 / 16;
  if (dtype == kPackQ8_0) {
    const char* b = row + block * 34;
    uint16_t d;
    memcpy(&d, b, 2);
    return Mul(Set(quant::HalfToFloat(d)), ToFloat(LoadS8(b + 2 + 16 * half)));
  }
  const char* b = row + block * 18;  // Q4_0
  uint16_t d;
  memcpy(&d, b, 2);
  const Vi bytes = LoadU8(reinterpret_cast<const uint8_t*>(b + 2));
  const Vi code = half == 0 ? AndI(bytes, SetI(15)) : ShrI(bytes, 4);
  return Mul(Set(quant::HalfToFloat(d)), ToFloat(AddI(code, SetI(-8))));
}

// A whole row, zeros up to the next multiple of 16.
template <int kDtype>
static void DecodeRow(const char* row, int dim, float* out) {
  int i = 0;
  for (; i + 16 <= dim; i += 16) StoreF(out + i, Load16(kDtype, row, i));
  if (i == dim) return;
  // Only the dense formats have rows that end between.
  for (int j = i; j < i + 16; ++j) {
    float x = 0;
    if (j < dim && kDtype == kPackF32) memcpy(&x, row + 4 * j, 4);
    if (j < dim && kDtype == kCacheFp8) x = quant::Fp8ToFloat(static_cast<uint8_t>(row[j]));
    if (j < dim && (kDtype == kPackF16 || kDtype == kPackBF16)) {
      uint16_t h;
      memcpy(&h, row + 2 * j, 2);
      x = kDtype == kPackF16 ? quant::HalfToFloat(h) : quant::Bf16ToFloat(h);
    }
    out[j] = x;
  }
}

using Decode = void (*)(const char* row, int dim, float* out);

LB_FN Decode DecodeOf(int dtype) {
  switch (dtype) {
    case kPackF16: return DecodeRow<kPackF16>;
    case kPackBF16: return DecodeRow<kPackBF16>;
    case kPackQ8_0: return DecodeRow<kPackQ8_0>;
    case kPackQ4_0: return DecodeRow<kPackQ4_0>;
    case kCacheFp8: return DecodeRow<kCacheFp8>;
    default: return DecodeRow<kPackF32>;
  }
}

LB_FN const char* RowAt(const AttentionJob& job, const KvSide& side, int position) {
  const int64_t block = job.table[position / kBlockTokens];
  return side.base +
         ((block * job.num_kv_heads + job.kv_head) * kBlockTokens + position % kBlockTokens) *
             side.row_bytes;
}

// Rows that are whole vectors of F16.
LB_FN bool HalfVectors(const KvSide& side) { return side.dtype == kPackF16 && side.dim % 16 == 0; }

// 32 keys and values decoded to floats.
struct FloatChunk {
  float* keys;    // [k_dim rounded up, kKeyChunk]: transposed
  float* values;  // [kKeyChunk, v_pad]
  float* rows;    // [8, k_dim rounded up], to transpose from
  int v_pad;
  Decode decode_k, decode_v;

  FloatChunk(const AttentionJob& job, void* memory)
      : keys(static_cast<float*>(memory)),
        v_pad(RoundUp16(job.v.dim)),
        decode_k(DecodeOf(job.k.dtype)),
        decode_v(DecodeOf(job.v.dtype)) {
    values = keys + RoundUp16(job.k.dim) * kKeyChunk;
    rows = values + v_pad * kKeyChunk;
  }
  // The keys and values of positions [begin, end) of the chunk that starts at `start`; zeros elsewhere.
  void Load(const AttentionJob& job, int start, int begin, int end) {
    const int k_pad = RoundUp16(job.k.dim);
    const bool half_keys = HalfVectors(job.k);
    alignas(64) uint16_t turned[16 * kKeyChunk];
    const char* key_rows[kKeyChunk];
    for (int i = 0; i < kKeyChunk; ++i) {
      const int position = start + i;
      const bool there = position >= begin && position < end;
      key_rows[i] = there ? RowAt(job, job.k, position) : nullptr;
      float* value = values + i * v_pad;
      if (there) {
        decode_v(RowAt(job, job.v, position), job.v.dim, value);
      } else {
        memset(value, 0, static_cast<size_t>(v_pad) * 4);
      }
    }
    if (half_keys) {
      // Turned as 16-bit numbers: half the shuffles.
      memset(rows, 0, static_cast<size_t>(k_pad) * 2);
      for (int i = 0; i < kKeyChunk; ++i) {
        if (key_rows[i] == nullptr) key_rows[i] = reinterpret_cast<const char*>(rows);
      }
      for (int d = 0; d < k_pad; d += 16) {
        for (int i = 0; i < kKeyChunk; i += 8) {
          TransposeHalves(key_rows + i, 2 * d, turned + i, kKeyChunk);
        }
        for (int i = 0; i < 16 * kKeyChunk; i += kLanes) {
          StoreF(keys + d * kKeyChunk + i, LoadHalf(turned + i));
        }
      }
      return;
    }
    for (int i = 0; i < kKeyChunk; i += 8) {
      for (int j = 0; j < 8; ++j) {
        float* key = rows + j * k_pad;
        if (key_rows[i + j] != nullptr) {
          decode_k(key_rows[i + j], job.k.dim, key);
        } else {
          memset(key, 0, static_cast<size_t>(k_pad) * 4);
        }
      }
      for (int d = 0; d < k_pad; d += 8) {
        Transpose8(rows + d, k_pad, keys + d * kKeyChunk + i, kKeyChunk);
      }
    }
  }
  // Dimension d of 16 keys; 16 dimensions of the j-th value.
  LB_FN Vf Key(const FloatChunk& c, int64_t d, int v) {
    return LoadF(c.keys + d * kKeyChunk + v * kLanes);
  }
  LB_FN Vf Value(const FloatChunk& c, int j, int at) { return LoadF(c.values + j * c.v_pad + at); }
};

// F16 in whole vectors, for rows so few that nothing is used twice: values stay where they are, keys
// are only transposed.
struct HalfChunk {
  uint16_t* keys;                 // [k_dim, kKeyChunk]
  const char* values[kKeyChunk];  // where each one is
  const char* zeros;

  HalfChunk(const AttentionJob& job, void* memory) : keys(static_cast<uint16_t*>(memory)) {
    uint16_t* after = keys + job.k.dim * kKeyChunk;
    memset(after, 0, static_cast<size_t>(job.k.dim > job.v.dim ? job.k.dim : job.v.dim) * 2);
    zeros = reinterpret_cast<const char*>(after);
  }
  void Load(const AttentionJob& job, int start, int begin, int end) {
    for (int i = 0; i < kKeyChunk; i += 8) {
      const char* rows[8];
      for (int j = 0; j < 8; ++j) {
        const int position = start + i + j;
        const bool there = position >= begin && position < end;
        rows[j] = there ? RowAt(job, job.k, position) : zeros;
        values[i + j] = there ? RowAt(job, job.v, position) : zeros;
      }
      for (int d = 0; d < job.k.dim; d += 16) {
        TransposeHalves(rows, 2 * d, keys + d * kKeyChunk + i, kKeyChunk);
      }
    }
  }
  LB_FN Vf Key(const HalfChunk& c, int64_t d, int v) {
    return LoadHalf(c.keys + d * kKeyChunk + v * kLanes);
  }
  LB_FN Vf Value(const HalfChunk& c, int j, int at) { return LoadHalf(c.values[j] + 2 * at); }
};

}  // namespace lb::LB_ISA

// One split of paged attention: keys in chunks of kKeyChunk at fixed positions, softmax kept up as it
// goes. What a row gets does not depend on the rows beside it, nor on keys it may not see.
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/isa/exp.h"
#include "kernels/cpu/isa/tables.h"
#include "quant/half.h"

namespace lb::LB_ISA {
namespace {

constexpr int kBlockTokens = 16;  // kKvBlockTokens of kernels/ops.h, checked in cpu_ops.cc
constexpr int kLanes = 16;
constexpr int kVectors = kKeyChunk / kLanes;
// Below any score; not infinite, so that differences stay numbers.
constexpr float kLowest = -1e30f;

LB_FN int RoundUp16(int n) { return (n + 15) / 16 * 16; }

// 16 values of one row of the pool.
LB_FN Vf Load16(int dtype, const char* row, int i) {
  if (dtype == kPackF16) return LoadHalf(row + 2 * i);
  if (dtype == kPackBF16) return LoadBf16(row + 2 * i);
  if (dtype == kPackF32) return LoadF(reinterpret_cast<const float*>(row) + i);
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
void DecodeRow(const char* row, int dim, float* out) {
  int i = 0;
  for (; i + 16 <= dim; i += 16) StoreF(out + i, Load16(kDtype, row, i));
  if (i == dim) return;
  // Only the dense formats have rows that end between.
  for (int j = i; j < i + 16; ++j) {
    float x = 0;
    if (j < dim && kDtype == kPackF32) memcpy(&x, row + 4 * j, 4);
    if (j < dim && kDtype != kPackF32) {
      uint16_t h;
      memcpy(&h, row + 2 * j, 2);
      x = kDtype == kPackF16 ? quant::HalfToFloat(h) : quant::Bf16ToFloat(h);
    }
    out[j] = x;
  }
}

using Decode = void (*)(const char* row, int dim, float* out);

Decode DecodeOf(int dtype) {
  switch (dtype) {
    case kPackF16: return DecodeRow<kPackF16>;
    case kPackBF16: return DecodeRow<kPackBF16>;
    case kPackQ8_0: return DecodeRow<kPackQ8_0>;
    case kPackQ4_0: return DecodeRow<kPackQ4_0>;
    default: return DecodeRow<kPackF32>;
  }
}

struct Chunk {
  float* keys;    // [k_dim rounded up, kKeyChunk]: transposed
  float* values;  // [kKeyChunk, v_pad]
  float* rows;    // [8, k_dim rounded up], to transpose from
};

LB_FN const char* RowAt(const AttentionJob& job, const KvSide& side, int position) {
  const int64_t block = job.table[position / kBlockTokens];
  return side.base +
         ((block * job.num_kv_heads + job.kv_head) * kBlockTokens + position % kBlockTokens) *
             side.row_bytes;
}

// The keys and values of positions [begin, end) of the chunk that starts at `start`; zeros elsewhere.
void LoadChunk(const AttentionJob& job, Decode decode_k, Decode decode_v, int start, int begin,
               int end, const Chunk& out) {
  const int k_pad = RoundUp16(job.k.dim), v_pad = RoundUp16(job.v.dim);
  for (int i = 0; i < kKeyChunk; i += 8) {
    for (int j = 0; j < 8; ++j) {
      const int position = start + i + j;
      float* key = out.rows + j * k_pad;
      float* value = out.values + (i + j) * v_pad;
      if (position >= begin && position < end) {
        decode_k(RowAt(job, job.k, position), job.k.dim, key);
        decode_v(RowAt(job, job.v, position), job.v.dim, value);
      } else {
        memset(key, 0, static_cast<size_t>(k_pad) * 4);
        memset(value, 0, static_cast<size_t>(v_pad) * 4);
      }
    }
    for (int d = 0; d < k_pad; d += 8) {
      Transpose8(out.rows + d, k_pad, out.keys + d * kKeyChunk + i, kKeyChunk);
    }
  }
}

// Scores of NQ rows against the chunk: one chain over the dimensions for each key.
template <int NQ>
LB_FN void Scores(const float* const* q, const float* keys, int dim, Vf (*s)[kVectors]) {
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    LB_UNROLL for (int v = 0; v < kVectors; ++v) s[r][v] = Set(0.0f);
  }
  for (int d = 0; d < dim; ++d) {
    Vf k[kVectors];
    LB_UNROLL for (int v = 0; v < kVectors; ++v) k[v] = LoadF(keys + d * kKeyChunk + v * kLanes);
    LB_UNROLL for (int r = 0; r < NQ; ++r) {
      const Vf x = Set(q[r][d]);
      LB_UNROLL for (int v = 0; v < kVectors; ++v) s[r][v] = Fma(x, k[v], s[r][v]);
    }
  }
}

// acc = acc * alpha + sum over keys of p * value, keys in order.
template <int NQ, int NV>
LB_FN void AddValues(float* const* acc, const float* alpha, const float (*p)[kKeyChunk],
                     const float* values, int v_pad, int at) {
  Vf a[NQ][NV];
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    LB_UNROLL for (int v = 0; v < NV; ++v) {
      a[r][v] = Mul(LoadF(acc[r] + at + v * kLanes), Set(alpha[r]));
    }
  }
  for (int j = 0; j < kKeyChunk; ++j) {
    Vf x[NV];
    LB_UNROLL for (int v = 0; v < NV; ++v) x[v] = LoadF(values + j * v_pad + at + v * kLanes);
    LB_UNROLL for (int r = 0; r < NQ; ++r) {
      const Vf w = Set(p[r][j]);
      LB_UNROLL for (int v = 0; v < NV; ++v) a[r][v] = Fma(w, x[v], a[r][v]);
    }
  }
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    LB_UNROLL for (int v = 0; v < NV; ++v) StoreF(acc[r] + at + v * kLanes, a[r][v]);
  }
}

// The first lane.
LB_FN float ExpOne(float x) {
  float v[16];
  StoreF(v, Exp(Set(x)));
  return v[0];
}

// NQ rows against one chunk. `row` numbers them within the job.
template <int NQ>
void RunRows(const AttentionJob& job, const Chunk& chunk, int start, const int* row) {
  const int v_pad = RoundUp16(job.v.dim);
  const float* q[NQ];
  float* acc[NQ];
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    q[r] = job.q + (job.t0 + row[r] / job.group) * job.q_stride + row[r] % job.group * job.k.dim;
    acc[r] = job.acc + static_cast<int64_t>(row[r]) * v_pad;
  }
  Vf s[NQ][kVectors];
  Scores<NQ>(q, chunk.keys, job.k.dim, s);
  float p[NQ][kKeyChunk];
  float alpha[NQ];
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    const int position = job.positions[job.t0 + row[r] / job.group];
    // Lanes of the chunk that this row sees.
    const int lo = job.window > 0 ? position - job.window + 1 - start : 0;
    const int hi = position + 1 - start;
    Vf most = Set(kLowest);
    LB_UNROLL for (int v = 0; v < kVectors; ++v) {
      s[r][v] = Mul(s[r][v], Set(job.scale));
      if (job.softcap > 0) {
        s[r][v] = Mul(Set(job.softcap), Tanh(Div(s[r][v], Set(job.softcap))));
      }
      most = Max(most, KeepRange(s[r][v], lo - v * kLanes, hi - v * kLanes, Set(kLowest)));
    }
    float* largest = job.largest + row[r];
    const float now = Largest(Max(most, Set(*largest)));
    alpha[r] = ExpOne(*largest - now);
    *largest = now;
    Vf sum = Set(0.0f);
    LB_UNROLL for (int v = 0; v < kVectors; ++v) {
      const Vf e = KeepRange(Exp(Sub(s[r][v], Set(now))), lo - v * kLanes, hi - v * kLanes,
                             Set(0.0f));
      StoreF(p[r] + v * kLanes, e);
      sum = Add(sum, e);
    }
    job.sum[row[r]] = job.sum[row[r]] * alpha[r] + Sum(sum);
  }
  int at = 0;
  for (; at + 32 <= v_pad; at += 32) AddValues<NQ, 2>(acc, alpha, p, chunk.values, v_pad, at);
  if (at < v_pad) AddValues<NQ, 1>(acc, alpha, p, chunk.values, v_pad, at);
}

void AttentionSplit(const AttentionJob& job) {
  const int k_pad = RoundUp16(job.k.dim), v_pad = RoundUp16(job.v.dim);
  const int num_rows = (job.t1 - job.t0) * job.group;
  for (int r = 0; r < num_rows; ++r) {
    job.largest[r] = kLowest;
    job.sum[r] = 0;
  }
  memset(job.acc, 0, static_cast<size_t>(num_rows) * static_cast<size_t>(v_pad) * 4);
  Chunk chunk;
  chunk.keys = static_cast<float*>(job.scratch);
  chunk.values = chunk.keys + k_pad * kKeyChunk;
  chunk.rows = chunk.values + v_pad * kKeyChunk;
  const Decode decode_k = DecodeOf(job.k.dtype), decode_v = DecodeOf(job.v.dtype);
  for (int start = job.kv_begin / kKeyChunk * kKeyChunk; start < job.kv_end; start += kKeyChunk) {
    LoadChunk(job, decode_k, decode_v, start, job.kv_begin, job.kv_end, chunk);
    int pending[2];
    int n = 0;
    for (int row = 0; row < num_rows; ++row) {
      const int position = job.positions[job.t0 + row / job.group];
      if (position < start) continue;
      if (job.window > 0 && position - job.window + 1 >= start + kKeyChunk) continue;
      pending[n++] = row;
      if (n == 2) {
        RunRows<2>(job, chunk, start, pending);
        n = 0;
      }
    }
    if (n == 1) RunRows<1>(job, chunk, start, pending);
  }
}

void Merge(float* largest, float* sum, float* acc, float l2, float s2, const float* a2, int64_t n) {
  if (s2 == 0) return;
  if (*sum == 0) {
    *largest = l2;
    *sum = s2;
    memcpy(acc, a2, static_cast<size_t>(n) * 4);
    return;
  }
  const float now = l2 > *largest ? l2 : *largest;
  const float f1 = ExpOne(*largest - now), f2 = ExpOne(l2 - now);
  *largest = now;
  *sum = *sum * f1 + s2 * f2;
  for (int64_t i = 0; i < n; i += 16) {
    StoreF(acc + i, Fma(LoadF(a2 + i), Set(f2), Mul(LoadF(acc + i), Set(f1))));
  }
}

void Finish(const float* acc, float sum, int64_t n, float* y) {
  const Vf inverse = Set(1.0f / sum);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) StoreF(y + i, Mul(LoadF(acc + i), inverse));
  for (; i < n; ++i) y[i] = acc[i] * (1.0f / sum);
}

}  // namespace

void SetAttention(CpuKernels* k) {
  k->attention_split = AttentionSplit;
  k->attention_merge = Merge;
  k->attention_finish = Finish;
}

}  // namespace lb::LB_ISA

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

// Vectors of keys, or of values, that one pass over a chunk works on. With 16 registers, the sums of
// six rows leave room for one vector (two registers) of theirs; one or two rows alone need more
// chains than one vector has to keep the multipliers busy.
#if defined(__AVX512F__) || defined(__aarch64__)
template <int NQ>
constexpr int kTogether = kVectors;
#else
template <int NQ>
constexpr int kTogether = NQ <= 2 ? kVectors : 1;
#endif
constexpr int kMaxRows = 6;  // that share what is read of a chunk

LB_FN const char* RowAt(const AttentionJob& job, const KvSide& side, int position) {
  const int64_t block = job.table[position / kBlockTokens];
  return side.base +
         ((block * job.num_kv_heads + job.kv_head) * kBlockTokens + position % kBlockTokens) *
             side.row_bytes;
}

// 32 keys and values decoded to floats.
struct FloatChunk {
  float* keys;    // [k_dim rounded up, kKeyChunk]: transposed
  float* values;  // [kKeyChunk, v_pad]
  float* rows;    // [8, k_dim rounded up], to transpose from
  int v_pad;
  Decode decode_k, decode_v;

  explicit FloatChunk(const AttentionJob& job)
      : v_pad(RoundUp16(job.v.dim)),
        decode_k(DecodeOf(job.k.dtype)),
        decode_v(DecodeOf(job.v.dtype)) {
    keys = static_cast<float*>(job.scratch);
    values = keys + RoundUp16(job.k.dim) * kKeyChunk;
    rows = values + v_pad * kKeyChunk;
  }
  // The keys and values of positions [begin, end) of the chunk that starts at `start`; zeros elsewhere.
  void Load(const AttentionJob& job, int start, int begin, int end) {
    const int k_pad = RoundUp16(job.k.dim);
    for (int i = 0; i < kKeyChunk; i += 8) {
      for (int j = 0; j < 8; ++j) {
        const int position = start + i + j;
        float* key = rows + j * k_pad;
        float* value = values + (i + j) * v_pad;
        if (position >= begin && position < end) {
          decode_k(RowAt(job, job.k, position), job.k.dim, key);
          decode_v(RowAt(job, job.v, position), job.v.dim, value);
        } else {
          memset(key, 0, static_cast<size_t>(k_pad) * 4);
          memset(value, 0, static_cast<size_t>(v_pad) * 4);
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

// F16 in whole vectors: values stay where they are, keys are only transposed.
struct HalfChunk {
  uint16_t* keys;                 // [k_dim, kKeyChunk]
  const char* values[kKeyChunk];  // where each one is
  const char* zeros;

  explicit HalfChunk(const AttentionJob& job) {
    keys = static_cast<uint16_t*>(job.scratch);
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

// The blocks of the next chunk, to be asked from memory meanwhile. Where there is nothing to ask for,
// some memory of our own: asking for what is near costs nothing.
struct Ahead {
  const char* k[kVectors];
  const char* v[kVectors];
};
static_assert(kLanes == kBlockTokens, "a vector of keys is a block");

LB_FN Ahead AheadOf(const AttentionJob& job, int start) {
  Ahead ahead;
  for (int i = 0; i < kVectors; ++i) {
    const int position = start + i * kLanes;
    const bool there = position < job.kv_end;
    ahead.k[i] = there ? RowAt(job, job.k, position) : static_cast<const char*>(job.scratch);
    ahead.v[i] = there ? RowAt(job, job.v, position) : static_cast<const char*>(job.scratch);
  }
  return ahead;
}

template <int NQ, int NV, typename Chunk>
LB_FN void ScoresOfDim(const float* const* q, const Chunk& chunk, int64_t d, int first,
                       Vf (*sum)[NV]) {
  Vf k[NV];
  LB_UNROLL for (int v = 0; v < NV; ++v) k[v] = Chunk::Key(chunk, d, first + v);
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    const Vf x = Set(q[r][d]);
    LB_UNROLL for (int v = 0; v < NV; ++v) sum[r][v] = Fma(x, k[v], sum[r][v]);
  }
}

// Scores of NQ rows against the chunk: one chain over the dimensions for each key.
template <int NQ, typename Chunk>
LB_FN void Scores(const float* const* q, const Chunk& chunk, int64_t dim, Ahead ahead,
                  Vf (*s)[kVectors]) {
  constexpr int kNow = kTogether<NQ>;
  LB_UNROLL for (int first = 0; first < kVectors; first += kNow) {
    Vf sum[NQ][kNow];
    LB_UNROLL for (int r = 0; r < NQ; ++r) {
      LB_UNROLL for (int v = 0; v < kNow; ++v) sum[r][v] = Set(0.0f);
    }
    int64_t d = 0;
    for (; d + 2 <= dim; d += 2) {
      // A block of 16 tokens in F16 has a line for every two dimensions.
      LB_UNROLL for (int v = first; v < first + kNow; ++v) {
        __builtin_prefetch(ahead.k[v]);
        __builtin_prefetch(ahead.v[v]);
        ahead.k[v] += 64;
        ahead.v[v] += 64;
      }
      ScoresOfDim<NQ, kNow>(q, chunk, d, first, sum);
      ScoresOfDim<NQ, kNow>(q, chunk, d + 1, first, sum);
    }
    if (d < dim) ScoresOfDim<NQ, kNow>(q, chunk, d, first, sum);
    LB_UNROLL for (int r = 0; r < NQ; ++r) {
      LB_UNROLL for (int v = 0; v < kNow; ++v) s[r][first + v] = sum[r][v];
    }
  }
}

// acc = acc * alpha + sum over keys of p * value, keys in order.
template <int NQ, int NV, typename Chunk>
LB_FN void AddValues(float* const* acc, const float* alpha, const float (*p)[kKeyChunk],
                     const Chunk& chunk, int at) {
  Vf a[NQ][NV];
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    LB_UNROLL for (int v = 0; v < NV; ++v) {
      a[r][v] = Mul(LoadF(acc[r] + at + v * kLanes), Set(alpha[r]));
    }
  }
  for (int j = 0; j < kKeyChunk; ++j) {
    Vf x[NV];
    LB_UNROLL for (int v = 0; v < NV; ++v) x[v] = Chunk::Value(chunk, j, at + v * kLanes);
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
template <int NQ, typename Chunk>
__attribute__((noinline)) void RunRows(const AttentionJob& job, const Chunk& chunk, int start, const int* row,
             const Ahead& ahead) {
  const int v_pad = RoundUp16(job.v.dim);
  const float* q[NQ];
  float* acc[NQ];
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    q[r] = job.q + (job.t0 + row[r] / job.group) * job.q_stride + row[r] % job.group * job.k.dim;
    acc[r] = job.acc + static_cast<int64_t>(row[r]) * v_pad;
  }
  Vf s[NQ][kVectors];
  Scores<NQ>(q, chunk, job.k.dim, ahead, s);
  float p[NQ][kKeyChunk];
  float alpha[kLanes] = {};
  float sums[NQ];
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
    alpha[r] = *largest - now;
    *largest = now;
    Vf sum = Set(0.0f);
    LB_UNROLL for (int v = 0; v < kVectors; ++v) {
      const Vf e = KeepRange(Exp(Sub(s[r][v], Set(now))), lo - v * kLanes, hi - v * kLanes,
                             Set(0.0f));
      StoreF(p[r] + v * kLanes, e);
      sum = Add(sum, e);
    }
    sums[r] = Sum(sum);
  }
  StoreF(alpha, Exp(LoadF(alpha)));
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    float* sum = job.sum + row[r];
    *sum = *sum * alpha[r] + sums[r];
  }
  constexpr int kNow = kTogether<NQ>;
  int at = 0;
  for (; at + kNow * kLanes <= v_pad; at += kNow * kLanes) {
    AddValues<NQ, kNow>(acc, alpha, p, chunk, at);
  }
  if (at < v_pad) AddValues<NQ, 1>(acc, alpha, p, chunk, at);
}

// n rows, 1 to kMaxRows.
template <typename Chunk>
void RunSome(const AttentionJob& job, const Chunk& chunk, int start, const int* row, int n,
             const Ahead& ahead) {
  switch (n) {
    case 1: return RunRows<1>(job, chunk, start, row, ahead);
    case 2: return RunRows<2>(job, chunk, start, row, ahead);
    case 3: return RunRows<3>(job, chunk, start, row, ahead);
    case 4: return RunRows<4>(job, chunk, start, row, ahead);
    case 5: return RunRows<5>(job, chunk, start, row, ahead);
    default: return RunRows<6>(job, chunk, start, row, ahead);
  }
}

// Whether `row` sees any key of the chunk.
LB_FN bool Sees(const AttentionJob& job, int row, int start) {
  const int position = job.positions[job.t0 + row / job.group];
  return position >= start && (job.window == 0 || position - job.window + 1 < start + kKeyChunk);
}

template <typename Chunk>
void RunChunks(const AttentionJob& job, int num_rows) {
  Chunk chunk(job);
  for (int start = job.kv_begin / kKeyChunk * kKeyChunk; start < job.kv_end; start += kKeyChunk) {
    chunk.Load(job, start, job.kv_begin, job.kv_end);
    Ahead ahead = AheadOf(job, start + kKeyChunk);
    int left = 0;
    for (int row = 0; row < num_rows; ++row) left += Sees(job, row, start);
    int pending[kMaxRows];
    int n = 0;
    // In parts of about the same size: few rows alone are slow.
    for (int row = 0; left > 0; ++row) {
      if (!Sees(job, row, start)) continue;
      pending[n++] = row;
      const int parts = (left + kMaxRows - 1) / kMaxRows;
      if (n < (left + parts - 1) / parts) continue;
      RunSome(job, chunk, start, pending, n, ahead);
      ahead = AheadOf(job, job.kv_end);
      left -= n;
      n = 0;
    }
  }
}

void AttentionSplit(const AttentionJob& job) {
  const int v_pad = RoundUp16(job.v.dim);
  const int num_rows = (job.t1 - job.t0) * job.group;
  for (int r = 0; r < num_rows; ++r) {
    job.largest[r] = kLowest;
    job.sum[r] = 0;
  }
  memset(job.acc, 0, static_cast<size_t>(num_rows) * static_cast<size_t>(v_pad) * 4);
  const bool halves = job.k.dtype == kPackF16 && job.v.dtype == kPackF16 &&
                      job.k.dim % 16 == 0 && job.v.dim % 16 == 0;
  if (halves) return RunChunks<HalfChunk>(job, num_rows);
  RunChunks<FloatChunk>(job, num_rows);
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

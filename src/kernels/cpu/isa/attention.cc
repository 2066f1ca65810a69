// One split of paged attention: keys in chunks of kKeyChunk at fixed positions, softmax kept up as it
// goes. What a row gets does not depend on the rows beside it, nor on keys it may not see.
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/isa/attention_chunk.h"
#include "kernels/cpu/isa/exp.h"
#include "kernels/cpu/isa/tables.h"

namespace lb::LB_ISA {
namespace {

// Below any score; not infinite, so that differences stay numbers.
constexpr float kLowest = -1e30f;
constexpr float kLog2E = 1.44269504f;

// Rows whose sums are in registers at a time, so that they share what is read of a chunk, and vectors of
// keys (or of values) that they meet at a time. Both together must leave registers for what is read:
// AVX-512 has 32 of a vector each; AVX2 has 16 of half a vector, and one or two rows alone need more
// chains than one vector has to keep the multipliers busy.
#if defined(__AVX512F__)
constexpr int kGroupRows = 12;
template <int NQ>
constexpr int kTogether = kVectors;
#elif defined(__aarch64__)
constexpr int kGroupRows = 6;
template <int NQ>
constexpr int kTogether = kVectors;
#else
constexpr int kGroupRows = 6;
template <int NQ>
constexpr int kTogether = NQ <= 2 ? kVectors : 1;
#endif
static_assert(kMaxAttentionRows % kGroupRows == 0, "");

// Neighbouring rows of the job.
struct Group {
  int first;
  int n;
  const float* q;  // [k_dim, kGroupRows]: transposed
  int position[kGroupRows];
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
LB_FN void ScoresOfDim(const float* q, const Chunk& chunk, int64_t d, int first, Vf (*sum)[NV]) {
  Vf k[NV];
  LB_UNROLL for (int v = 0; v < NV; ++v) k[v] = Chunk::Key(chunk, d, first + v);
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    const Vf x = Set(q[d * kGroupRows + r]);
    LB_UNROLL for (int v = 0; v < NV; ++v) sum[r][v] = Fma(x, k[v], sum[r][v]);
  }
}

// Scores of NQ rows against the chunk: one chain over the dimensions for each key.
template <int NQ, typename Chunk>
LB_FN void Scores(const float* q, const Chunk& chunk, int64_t dim, const Ahead& ahead,
                  Vf (*s)[kVectors]) {
  constexpr int kNow = kTogether<NQ>;
  LB_UNROLL for (int first = 0; first < kVectors; first += kNow) {
    Vf sum[NQ][kNow];
    LB_UNROLL for (int r = 0; r < NQ; ++r) {
      LB_UNROLL for (int v = 0; v < kNow; ++v) sum[r][v] = Set(0.0f);
    }
    // The blocks ahead one after the other: in F16, one of 16 tokens has a line for two dimensions.
    int64_t d = 0;
    for (int v = 0; v < kNow; ++v) {
      const int64_t end = v + 1 == kNow ? dim : dim / kNow;
      const char* ahead_k = ahead.k[first + v];
      const char* ahead_v = ahead.v[first + v];
      for (; d < end; ++d) {
        __builtin_prefetch(ahead_k, 0, 2);
        __builtin_prefetch(ahead_v, 0, 2);
        ahead_k += 32 * kNow;
        ahead_v += 32 * kNow;
        ScoresOfDim<NQ, kNow>(q, chunk, d, first, sum);
      }
    }
    LB_UNROLL for (int r = 0; r < NQ; ++r) {
      LB_UNROLL for (int v = 0; v < kNow; ++v) s[r][first + v] = sum[r][v];
    }
  }
}

// acc = acc * alpha + sum over keys of p * value, keys in order; of the rows that are `seen` (kAll: all).
template <int NQ, int NV, bool kAll, typename Chunk>
LB_FN void AddValues(float* acc, int64_t stride, const float* alpha, const float (*p)[kKeyChunk],
                     const bool* seen, const Chunk& chunk, int at) {
  Vf a[NQ][NV];
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    LB_UNROLL for (int v = 0; v < NV; ++v) {
      a[r][v] = Mul(LoadF(acc + r * stride + at + v * kLanes), Set(alpha[r]));
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
    if (!kAll && !seen[r]) continue;
    LB_UNROLL for (int v = 0; v < NV; ++v) StoreF(acc + r * stride + at + v * kLanes, a[r][v]);
  }
}

// 2 to the power of the first lane.
LB_FN float Exp2One(float x) {
  float v[16];
  StoreF(v, Exp2(Set(x)));
  return v[0];
}

// A group of NQ rows against one chunk. Scores are kept as powers of two. kAll: every row sees every key.
template <int NQ, bool kAll, typename Chunk>
__attribute__((noinline)) void RunGroup(const AttentionJob& job, const Group& group,
                                        const Chunk& chunk, int start, const Ahead& ahead) {
  const int v_pad = RoundUp16(job.v.dim);
  Vf s[NQ][kVectors];
  Scores<NQ>(group.q, chunk, job.k.dim, ahead, s);
  alignas(64) float p[NQ][kKeyChunk];
  alignas(64) float alpha[kLanes] = {};
  float sums[NQ];
  bool seen[NQ];
  const bool capped = job.softcap > 0;
  const Vf scale = Set(capped ? job.scale : job.scale * kLog2E);
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    const int position = group.position[r];
    // Lanes of the chunk that this row sees.
    const int lo = job.window > 0 ? position - job.window + 1 - start : 0;
    const int end = position + 1 + job.ahead;
    const int hi = (end < job.kv_end ? end : job.kv_end) - start;
    seen[r] = hi > 0 && lo < kKeyChunk;
    Vf most = Set(kLowest);
    LB_UNROLL for (int v = 0; v < kVectors; ++v) {
      s[r][v] = Mul(s[r][v], scale);
      if (capped) {
        s[r][v] = Mul(Set(job.softcap * kLog2E), Tanh(Div(s[r][v], Set(job.softcap))));
      }
      const Vf seen_only =
          kAll ? s[r][v] : KeepRange(s[r][v], lo - v * kLanes, hi - v * kLanes, Set(kLowest));
      most = Max(most, seen_only);
    }
    const float before = job.largest[group.first + r];
    const float now = Largest(Max(most, Set(before)));
    alpha[r] = before - now;
    if (kAll || seen[r]) job.largest[group.first + r] = now;
    Vf sum = Set(0.0f);
    LB_UNROLL for (int v = 0; v < kVectors; ++v) {
      Vf e = Exp2(Sub(s[r][v], Set(now)));
      if (!kAll) e = KeepRange(e, lo - v * kLanes, hi - v * kLanes, Set(0.0f));
      StoreF(p[r] + v * kLanes, e);
      sum = Add(sum, e);
    }
    sums[r] = Sum(sum);
  }
  StoreF(alpha, Exp2(LoadF(alpha)));
  LB_UNROLL for (int r = 0; r < NQ; ++r) {
    float* sum = job.sum + group.first + r;
    if (kAll || seen[r]) *sum = *sum * alpha[r] + sums[r];
  }
  constexpr int kNow = kTogether<NQ>;
  float* acc = job.acc + static_cast<int64_t>(group.first) * v_pad;
  int at = 0;
  for (; at + kNow * kLanes <= v_pad; at += kNow * kLanes) {
    AddValues<NQ, kNow, kAll>(acc, v_pad, alpha, p, seen, chunk, at);
  }
  if (at < v_pad) AddValues<NQ, 1, kAll>(acc, v_pad, alpha, p, seen, chunk, at);
}

template <bool kAll, typename Chunk>
void RunSome(const AttentionJob& job, const Group& group, const Chunk& chunk, int start,
             const Ahead& ahead) {
  switch (group.n) {
    case 1: return RunGroup<1, kAll>(job, group, chunk, start, ahead);
    case 2: return RunGroup<2, kAll>(job, group, chunk, start, ahead);
    case 3: return RunGroup<3, kAll>(job, group, chunk, start, ahead);
    case 4: return RunGroup<4, kAll>(job, group, chunk, start, ahead);
    case 5: return RunGroup<5, kAll>(job, group, chunk, start, ahead);
    case 6: return RunGroup<6, kAll>(job, group, chunk, start, ahead);
#if defined(__AVX512F__)
    case 7: return RunGroup<7, kAll>(job, group, chunk, start, ahead);
    case 8: return RunGroup<8, kAll>(job, group, chunk, start, ahead);
    case 9: return RunGroup<9, kAll>(job, group, chunk, start, ahead);
    case 10: return RunGroup<10, kAll>(job, group, chunk, start, ahead);
    case 11: return RunGroup<11, kAll>(job, group, chunk, start, ahead);
    case 12: return RunGroup<12, kAll>(job, group, chunk, start, ahead);
#endif
  }
}

// Whether any row of the group sees a key of the chunk. Positions rise.
LB_FN bool Sees(const AttentionJob& job, const Group& group, int start) {
  return group.position[group.n - 1] + job.ahead >= start &&
         (job.window == 0 || group.position[0] - job.window + 1 < start + kKeyChunk);
}

// Whether all rows of the group see all keys of the chunk.
LB_FN bool SeesAll(const AttentionJob& job, const Group& group, int start) {
  return group.position[0] + job.ahead >= start + kKeyChunk - 1 &&
         start + kKeyChunk <= job.kv_end &&
         (job.window == 0 || group.position[group.n - 1] - job.window + 1 <= start);
}

// The job's rows in groups of about the same size (few rows alone are slow), their queries at `q`.
// Returns how many.
int MakeGroups(const AttentionJob& job, float* q, Group* groups) {
  const int num_rows = (job.t1 - job.t0) * job.group;
  const int num_groups = (num_rows + kGroupRows - 1) / kGroupRows;
  int first = 0;
  for (int g = 0; g < num_groups; ++g) {
    const int left = num_groups - g;
    Group& group = groups[g];
    group.first = first;
    group.n = (num_rows - first + left - 1) / left;
    group.q = q;
    for (int r = 0; r < group.n; ++r) {
      const int token = job.t0 + (first + r) / job.group, head = (first + r) % job.group;
      group.position[r] = job.positions[token];
      const float* from = job.q + token * job.q_stride + head * job.k.dim;
      for (int d = 0; d < job.k.dim; ++d) q[d * kGroupRows + r] = from[d];
    }
    first += group.n;
    q += job.k.dim * kGroupRows;
  }
  return num_groups;
}

template <typename Chunk>
void RunChunks(const AttentionJob& job, const Group* groups, int num_groups, void* memory) {
  Chunk chunk(job, memory);
  for (int start = job.kv_begin / kKeyChunk * kKeyChunk; start < job.kv_end; start += kKeyChunk) {
    chunk.Load(job, start, job.kv_begin, job.kv_end);
    Ahead ahead = AheadOf(job, start + kKeyChunk);
    for (int g = 0; g < num_groups; ++g) {
      if (!Sees(job, groups[g], start)) continue;
      (SeesAll(job, groups[g], start) ? RunSome<true, Chunk> : RunSome<false, Chunk>)(
          job, groups[g], chunk, start, ahead);
      ahead = AheadOf(job, job.kv_end);
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
  Group groups[kMaxAttentionRows / kGroupRows];
  char* memory = static_cast<char*>(job.scratch);
  const int num_groups =
      MakeGroups(job, reinterpret_cast<float*>(memory + AttentionChunkBytes(job.k.dim, job.v.dim)),
                 groups);
  if (num_groups == 1 && HalfVectors(job.k) && HalfVectors(job.v)) {
    return RunChunks<HalfChunk>(job, groups, num_groups, memory);
  }
  RunChunks<FloatChunk>(job, groups, num_groups, memory);
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
  const float f1 = Exp2One(*largest - now), f2 = Exp2One(l2 - now);
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

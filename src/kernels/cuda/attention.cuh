// Attention of 16 rows over 32 keys by one warp, K and V straight from the paged pool into tensor-core
// operands: dimensions may be summed in any order that queries and keys share, so a lane reads
// 16 neighbouring bytes of a key, and needs no shared memory.
#pragma once

#include "kernels/cuda/kernel_launch.cuh"
#include "kernels/cuda/kv_rows.cuh"

namespace lb::cuda {

inline constexpr int kUnitKeys = 32;
inline constexpr float kLog2E = 1.44269504088896340736f;
inline constexpr float kNothing = -1e30f;  // the maximum of no keys

// What one row (a head of a token) may see: keys first to last.
struct Sight {
  int first;
  int last;
};
__device__ __forceinline__ Sight SightOf(const AttentionParams& params, int position, int context) {
  const int first = params.window > 0 ? max(0, position - params.window + 1) : 0;
  const int last = params.ahead >= context ? context - 1 : min(position + params.ahead, context - 1);
  return {first, last};
}

// The state of a warp's 16 rows: lane 4 g + t keeps rows g and g + 8. o[j8 * 8 + e] has dimensions
// j8 * 64 + c * 8 + e of columns c = 2 t, 2 t + 1.
template <int kDim>
struct Tile {
  uint32_t q[kDim / 16][4];
  float o[kDim / 8][4];
  float most[2];   // largest score so far, log2 units
  float total[2];  // sum of this lane's weights (not yet over the four lanes of a row)

  __device__ __forceinline__ void Clear() {
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) o[i][0] = o[i][1] = o[i][2] = o[i][3] = 0;
    most[0] = most[1] = kNothing;
    total[0] = total[1] = 0;
  }
  // Row r (0 or 1: g or g + 8) from f32 [kDim]; null: zeros.
  __device__ __forceinline__ void LoadQuery(int r, const float* row, float scale, int t) {
#pragma unroll
    for (int b = 0; b < kDim / 32; ++b) {
      float4 lo = make_float4(0, 0, 0, 0), hi = lo;
      if (row != nullptr) {
        lo = *reinterpret_cast<const float4*>(row + b * 32 + t * 8);
        hi = *reinterpret_cast<const float4*>(row + b * 32 + t * 8 + 4);
      }
      q[2 * b][r] = PackHalves(lo.x * scale, lo.y * scale);
      q[2 * b][r + 2] = PackHalves(lo.z * scale, lo.w * scale);
      q[2 * b + 1][r] = PackHalves(hi.x * scale, hi.y * scale);
      q[2 * b + 1][r + 2] = PackHalves(hi.z * scale, hi.w * scale);
    }
  }

  // Keys key0 to key0 + 31 (a multiple of 32). `table`: the sequence's blocks. No key beyond `written` - 1 is read,
  // none of a dropped block.
  template <DType kDType>
  __device__ __forceinline__ void Add(const KvLayer& kv, const int32_t* table, int head, int key0, int written,
                                      const Sight (&sight)[2], float softcap, int lane) {
    const int g = lane / 4, t = lane % 4;
    const int entry = key0 / kKvBlockTokens;
    const int block0 = table[entry];
    const int block1 = key0 + kKvBlockTokens < written ? table[entry + 1] : -1;
    const int64_t row_bytes = KvRowBytes(kDType, kDim);
    const auto row_of = [&](const void* base, int block, int i) {
      return static_cast<const char*>(base) +
             ((static_cast<int64_t>(block) * kv.num_kv_heads + head) * kKvBlockTokens + i) * row_bytes;
    };
    float s[4][4];
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0;
      const int block = n < 2 ? block0 : block1;
      const bool there = block >= 0 && key0 + n * 8 + g < written;
      const char* row = row_of(kv.k, there ? block : 0, n % 2 * 8 + g);
#pragma unroll
      for (int b = 0; b < kDim / 32; ++b) {
        const uint4 k = LoadKv8<kDType>(row, b * 4 + t);
        Mma(s[n], q[2 * b], k.x, k.y);
        Mma(s[n], q[2 * b + 1], k.z, k.w);
      }
    }
    // The values are on their way while the weights are worked out.
    uint4 v[2][kDim / 64][4];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int block = half == 0 ? block0 : block1;
      const int own = key0 + half * 16 + 2 * t;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int in = i % 2 + i / 2 * 8;
        const bool there = block >= 0 && own + in < written;
        const char* row = row_of(kv.v, there ? block : 0, 2 * t + in);
#pragma unroll
        for (int j = 0; j < kDim / 64; ++j) {
          v[half][j][i] = LoadKv8<kDType>(row, j * 8 + g);
          if (!there) v[half][j][i] = make_uint4(0, 0, 0, 0);
        }
      }
    }
    float largest[2] = {kNothing, kNothing};
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      const bool dropped = (n < 2 ? block0 : block1) < 0;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = key0 + n * 8 + 2 * t + i % 2, r = i / 2;
        float score = s[n][i];
        if (softcap > 0) score = softcap * tanhf(score / softcap) * kLog2E;
        s[n][i] = key >= sight[r].first && key <= sight[r].last && !dropped ? score : -INFINITY;
        largest[r] = fmaxf(largest[r], s[n][i]);
      }
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      largest[r] = fmaxf(largest[r], __shfl_xor_sync(0xffffffff, largest[r], 1));
      largest[r] = fmaxf(largest[r], __shfl_xor_sync(0xffffffff, largest[r], 2));
      const float now = fmaxf(most[r], largest[r]);
      const float keep = exp2f(most[r] - now);
      most[r] = now;
      total[r] *= keep;
#pragma unroll
      for (int i = 0; i < kDim / 8; ++i) o[i][2 * r] *= keep, o[i][2 * r + 1] *= keep;
    }
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        s[n][i] = exp2f(s[n][i] - most[i / 2]);
        total[i / 2] += s[n][i];
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint32_t p[4] = {PackHalves(s[2 * half][0], s[2 * half][1]), PackHalves(s[2 * half][2], s[2 * half][3]),
                             PackHalves(s[2 * half + 1][0], s[2 * half + 1][1]),
                             PackHalves(s[2 * half + 1][2], s[2 * half + 1][3])};
#pragma unroll
      for (int j = 0; j < kDim / 64; ++j) {
        const uint4(&w)[4] = v[half][j];
        const auto pair = [&](uint32_t a, uint32_t b, uint32_t c, uint32_t d, int e) {
          Mma(o[j * 8 + e], p, __byte_perm(a, b, 0x5410), __byte_perm(c, d, 0x5410));
          Mma(o[j * 8 + e + 1], p, __byte_perm(a, b, 0x7632), __byte_perm(c, d, 0x7632));
        };
        pair(w[0].x, w[1].x, w[2].x, w[3].x, 0);
        pair(w[0].y, w[1].y, w[2].y, w[3].y, 2);
        pair(w[0].z, w[1].z, w[2].z, w[3].z, 4);
        pair(w[0].w, w[1].w, w[2].w, w[3].w, 6);
      }
    }
  }

  // The sum of weights of row r, over its four lanes.
  __device__ __forceinline__ float Total(int r) const {
    float v = total[r];
    v += __shfl_xor_sync(0xffffffff, v, 1);
    v += __shfl_xor_sync(0xffffffff, v, 2);
    return v;
  }
  static __device__ __forceinline__ int DimOf(int i, int column) { return i / 8 * 64 + column * 8 + i % 8; }
};

// What a query is multiplied by: scores come out in log2 units, but for a soft cap, which comes first.
__device__ __forceinline__ float QueryScale(const AttentionParams& params) {
  return params.softcap > 0 ? params.scale : params.scale * kLog2E;
}

}  // namespace lb::cuda

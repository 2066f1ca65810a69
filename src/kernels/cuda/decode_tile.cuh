// Attention of up to 8 heads of one token over the keys of a block or two by one warp. Keys are the tall side of the tensor-core
// product, so that few heads waste little: scores are K q, results V p. K and V come straight from the paged pool into operands:
// dimensions may be summed in any order that queries and keys share, so a lane reads 16 neighbouring bytes of a key, and needs no
// shared memory.
#pragma once

#include "kernels/cuda/attention.cuh"

namespace lb::cuda {

// An 8 x 8 tile of halves, two neighbours of row lane / 4 in each lane: transposed.
__device__ __forceinline__ uint32_t Transposed(uint32_t v) {
  uint32_t out;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(out) : "r"(v));
  return out;
}

// Lane 4 g + t has heads 2 t and 2 t + 1. o[j * 4 + w] has their dimensions 64 j + 8 g + 2 w (first two values) and the
// one after it (last two).
template <int kDim>
struct DecodeTile {
  uint32_t q[kDim / 16][2];
  float o[kDim / 16][4];
  float most[2];   // largest score so far, log2 units
  float total[2];  // sum of this lane's weights

  __device__ __forceinline__ void Clear() {
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i) o[i][0] = o[i][1] = o[i][2] = o[i][3] = 0;
    most[0] = most[1] = kNothing;
    total[0] = total[1] = 0;
  }
  // Head lane / 4 from f32 [kDim]; null: zeros.
  __device__ __forceinline__ void LoadQuery(const float* row, float scale, int t) {
#pragma unroll
    for (int b = 0; b < kDim / 32; ++b) {
      float4 lo = make_float4(0, 0, 0, 0), hi = lo;
      if (row != nullptr) {
        lo = *reinterpret_cast<const float4*>(row + b * 32 + t * 8);
        hi = *reinterpret_cast<const float4*>(row + b * 32 + t * 8 + 4);
      }
      q[2 * b][0] = PackHalves(lo.x * scale, lo.y * scale);
      q[2 * b][1] = PackHalves(lo.z * scale, lo.w * scale);
      q[2 * b + 1][0] = PackHalves(hi.x * scale, hi.y * scale);
      q[2 * b + 1][1] = PackHalves(hi.z * scale, hi.w * scale);
    }
  }

  // The keys of kBlocks blocks, the first of them key0, as far as they are in sight. None of a block below 0, a dropped one.
  template <DType kDType, int kBlocks>
  __device__ __forceinline__ void Add(const KvLayer& kv, const int32_t (&block)[kBlocks], int head, int key0, const Sight& sight,
                                      float softcap, int lane) {
    const int g = lane / 4, t = lane % 4;
    const auto row_of = [&](const void* base, int m, int i) {
      const int64_t of = static_cast<int64_t>(max(block[m], 0)) * kv.num_kv_heads + head;
      return static_cast<const char*>(base) + (of * kKvBlockTokens + i) * KvRowBytes(kDType, kDim);
    };
    const auto there = [&](int m, int i) { return block[m] >= 0 && key0 + m * kKvBlockTokens + i <= sight.last; };
    float s[kBlocks][4] = {};
#pragma unroll
    for (int m = 0; m < kBlocks; ++m) {
      const char* low = row_of(kv.k, m, g);
      const char* high = row_of(kv.k, m, g + 8);
#pragma unroll
      for (int b = 0; b < kDim / 32; ++b) {
        const uint4 k0 = LoadKv8<kDType>(low, b * 4 + t), k8 = LoadKv8<kDType>(high, b * 4 + t);
        const uint32_t first[4] = {k0.x, k8.x, k0.y, k8.y}, second[4] = {k0.z, k8.z, k0.w, k8.w};
        Mma(s[m], first, q[2 * b][0], q[2 * b][1]);
        Mma(s[m], second, q[2 * b + 1][0], q[2 * b + 1][1]);
      }
    }
    // The values are on their way while the weights are worked out. What lies behind the last token may be anything.
    uint4 v[kBlocks][kDim / 64][4];
#pragma unroll
    for (int m = 0; m < kBlocks; ++m) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int in = 2 * t + i % 2 + i / 2 * 8;
        const char* row = row_of(kv.v, m, in);
#pragma unroll
        for (int j = 0; j < kDim / 64; ++j) {
          v[m][j][i] = LoadKv8<kDType>(row, j * 8 + g);
          if (!there(m, in)) v[m][j][i] = make_uint4(0, 0, 0, 0);
        }
      }
    }
    float largest[2] = {kNothing, kNothing};
#pragma unroll
    for (int m = 0; m < kBlocks; ++m) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int in = g + i / 2 * 8;
        if (softcap > 0) s[m][i] = softcap * tanhf(s[m][i] / softcap) * kLog2E;
        if (key0 + m * kKvBlockTokens + in < sight.first || !there(m, in)) s[m][i] = -INFINITY;
        largest[i % 2] = fmaxf(largest[i % 2], s[m][i]);
      }
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
      for (int lanes = 4; lanes < 32; lanes *= 2) largest[h] = fmaxf(largest[h], __shfl_xor_sync(0xffffffff, largest[h], lanes));
      const float now = fmaxf(most[h], largest[h]);
      const float keep = exp2f(most[h] - now);
      most[h] = now;
      total[h] *= keep;
#pragma unroll
      for (int i = 0; i < kDim / 16; ++i) o[i][h] *= keep, o[i][h + 2] *= keep;
    }
#pragma unroll
    for (int m = 0; m < kBlocks; ++m) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        s[m][i] = exp2f(s[m][i] - most[i % 2]);
        total[i % 2] += s[m][i];
      }
      const uint32_t p0 = Transposed(PackHalves(s[m][0], s[m][1])), p1 = Transposed(PackHalves(s[m][2], s[m][3]));
#pragma unroll
      for (int j = 0; j < kDim / 64; ++j) {
        const uint4(&w)[4] = v[m][j];
        const auto add = [&](uint32_t a, uint32_t b, uint32_t c, uint32_t d, int i) {
          const uint32_t values[4] = {__byte_perm(a, b, 0x5410), __byte_perm(a, b, 0x7632), __byte_perm(c, d, 0x5410),
                                      __byte_perm(c, d, 0x7632)};
          Mma(o[j * 4 + i], values, p0, p1);
        };
        add(w[0].x, w[1].x, w[2].x, w[3].x, 0);
        add(w[0].y, w[1].y, w[2].y, w[3].y, 1);
        add(w[0].z, w[1].z, w[2].z, w[3].z, 2);
        add(w[0].w, w[1].w, w[2].w, w[3].w, 3);
      }
    }
  }

  // The sum of weights of head 2 t + h, over its lanes.
  __device__ __forceinline__ float Total(int h) const {
    float sum = total[h];
#pragma unroll
    for (int lanes = 4; lanes < 32; lanes *= 2) sum += __shfl_xor_sync(0xffffffff, sum, lanes);
    return sum;
  }
};

}  // namespace lb::cuda

// Attention of up to 8 heads of one token over the keys of a block by one warp. Keys are the tall side of the tensor-core
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

// What a lane has of the keys and values of a block, as fp16. Lane 4 g + t: of keys g and g + 8 every fourth 16 bytes from t on, of
// values 2 t, 2 t + 1, 2 t + 8 and 2 t + 9 every eighth from g on.
template <int kDim>
struct KvPiece {
  int32_t block;  // below 0: one that was dropped, of which nothing is used
  uint4 k[2][kDim / 32];
  uint4 v[kDim / 64][4];

  static __device__ __forceinline__ int KeyRow(int lane, int i) { return lane / 4 + 8 * i; }
  static __device__ __forceinline__ int ValueRow(int lane, int i) { return 2 * (lane % 4) + i % 2 + i / 2 * 8; }

  // What lies behind the last token of a block may be anything.
  template <DType kDType>
  __device__ __forceinline__ void Load(const KvLayer& kv, int32_t number, int head, int lane) {
    block = number;
    const auto row_at = [&](void* base, int i) { return KvRowAt(base, kDType, kDim, kv.num_kv_heads, max(number, 0), head, i); };
#pragma unroll
    for (int i = 0; i < 2; ++i) LoadKey<kDType>(i, row_at(kv.k, KeyRow(lane, i)), lane);
#pragma unroll
    for (int i = 0; i < 4; ++i) LoadValue<kDType>(i, row_at(kv.v, ValueRow(lane, i)), lane);
  }
  // Key and value number `in` of the block, from rows of the pool's type elsewhere.
  template <DType kDType>
  __device__ __forceinline__ void Replace(int in, const char* key, const char* value, int lane) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (KeyRow(lane, i) == in) LoadKey<kDType>(i, key, lane);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (ValueRow(lane, i) == in) LoadValue<kDType>(i, value, lane);
    }
  }

 private:
  template <DType kDType>
  __device__ __forceinline__ void LoadKey(int i, const char* row, int lane) {
#pragma unroll
    for (int b = 0; b < kDim / 32; ++b) k[i][b] = LoadKv8<kDType>(row, b * 4 + lane % 4);
  }
  template <DType kDType>
  __device__ __forceinline__ void LoadValue(int i, const char* row, int lane) {
#pragma unroll
    for (int j = 0; j < kDim / 64; ++j) v[j][i] = LoadKv8<kDType>(row, j * 8 + lane / 4);
  }
};

// cap * tanh(x / cap), in log2 units: right to some 1e-7 of the cap.
__device__ __forceinline__ float SoftCapped(float x, float cap) {
  return cap * kLog2E * (1.0f - __fdividef(2.0f, 1.0f + Exp2(2.0f * kLog2E * __fdividef(x, cap))));
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

  // The keys of a block, the first of them key0, as far as they are in sight.
  __device__ __forceinline__ void Add(KvPiece<kDim>& piece, int key0, const Sight& sight, float softcap, int lane) {
    const int g = lane / 4;
    const auto there = [&](int i) { return piece.block >= 0 && key0 + i <= sight.last; };
    float s[4] = {};
#pragma unroll
    for (int b = 0; b < kDim / 32; ++b) {
      const uint4 k0 = piece.k[0][b], k8 = piece.k[1][b];
      const uint32_t first[4] = {k0.x, k8.x, k0.y, k8.y}, second[4] = {k0.z, k8.z, k0.w, k8.w};
      Mma(s, first, q[2 * b][0], q[2 * b][1]);
      Mma(s, second, q[2 * b + 1][0], q[2 * b + 1][1]);
    }
    // A weight of nothing does not make nothing of what may be no number.
    if (!there(kKvBlockTokens - 1)) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if (there(piece.ValueRow(lane, i))) continue;
#pragma unroll
        for (int j = 0; j < kDim / 64; ++j) piece.v[j][i] = make_uint4(0, 0, 0, 0);
      }
    }
    float largest[2] = {kNothing, kNothing};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int in = g + i / 2 * 8;
      if (softcap > 0) s[i] = SoftCapped(s[i], softcap);
      if (key0 + in < sight.first || !there(in)) s[i] = -INFINITY;
      largest[i % 2] = fmaxf(largest[i % 2], s[i]);
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
      for (int lanes = 4; lanes < 32; lanes *= 2) largest[h] = fmaxf(largest[h], __shfl_xor_sync(0xffffffff, largest[h], lanes));
      const float now = fmaxf(most[h], largest[h]);
      const float keep = Exp2(most[h] - now);
      most[h] = now;
      total[h] *= keep;
#pragma unroll
      for (int i = 0; i < kDim / 16; ++i) o[i][h] *= keep, o[i][h + 2] *= keep;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      s[i] = Exp2(s[i] - most[i % 2]);
      total[i % 2] += s[i];
    }
    const uint32_t p0 = Transposed(PackHalves(s[0], s[1])), p1 = Transposed(PackHalves(s[2], s[3]));
#pragma unroll
    for (int j = 0; j < kDim / 64; ++j) {
      const uint4(&w)[4] = piece.v[j];
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

  // The sum of weights of head 2 t + h, over its lanes.
  __device__ __forceinline__ float Total(int h) const {
    float sum = total[h];
#pragma unroll
    for (int lanes = 4; lanes < 32; lanes *= 2) sum += __shfl_xor_sync(0xffffffff, sum, lanes);
    return sum;
  }
};

}  // namespace lb::cuda

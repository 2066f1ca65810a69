// The activations that a product in bytes reads, rounded to 8 bits in shared memory, normed on the way where the product asks for it.
#pragma once

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/byte_products.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/stage_rows.cuh"

namespace lb::cuda {

// In shared memory: the codes of the tokens, with 32 bytes between them so that lanes meet in no bank, then their groups.
__host__ __device__ constexpr int ByteStride(int chunks) { return chunks * kChunkCols + 32; }
__host__ __device__ constexpr int GroupsOf(int chunks) { return chunks * kChunkCols / 32; }
__host__ __device__ constexpr size_t ByteRowsBytes(int chunks, int tokens) {
  return static_cast<size_t>(tokens) * (static_cast<size_t>(ByteStride(chunks)) + sizeof(ByteGroup) * static_cast<size_t>(GroupsOf(chunks)));
}

// kCount values of each lane, 32 columns by 32 / kCount neighbouring lanes, to codes at `to` and their group.
template <int kCount>
__device__ __forceinline__ void StoreBytes(const float (&v)[kCount], bool there, uint8_t* to, ByteGroup* group) {
  constexpr int kLanes = 32 / kCount;
  // As integers magnitudes are in the same order, and a NaN is the largest.
  int most = 0;
#pragma unroll
  for (int i = 0; i < kCount; ++i) most = max(most, __float_as_int(v[i]) & 0x7fffffff);
#pragma unroll
  for (int lanes = 1; lanes < kLanes; lanes *= 2) most = max(most, __shfl_xor_sync(0xffffffff, most, lanes));
  const float largest = __int_as_float(most), scale = largest * (1.0f / 127.0f);
  const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
  uint32_t words[kCount / 4];
  int sum = 0;
#pragma unroll
  for (int w = 0; w < kCount / 4; ++w) {
    int c[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) c[i] = __float2int_rn(v[4 * w + i] * inverse);
    words[w] = __byte_perm(__byte_perm(c[0], c[1], 0x0040), __byte_perm(c[2], c[3], 0x0040), 0x5410);
    sum = __dp4a(static_cast<int>(words[w]), 0x01010101, sum);
  }
#pragma unroll
  for (int lanes = 1; lanes < kLanes / 2; lanes *= 2) sum += __shfl_xor_sync(0xffffffff, sum, lanes);
  const int other = __shfl_xor_sync(0xffffffff, sum, kLanes / 2);
  if (!there) return;
#pragma unroll
  for (int w = 0; w < kCount / 4; ++w) reinterpret_cast<uint32_t*>(to)[w] = words[w];
  if (threadIdx.x % kLanes == 0) *group = {scale, {static_cast<int16_t>(sum), static_cast<int16_t>(other)}};
}

// One token's row of f32, normed when there are weights (in shared memory), as bytes.
template <int kThreads>
__device__ __forceinline__ void StageFloatBytes(const FewProducts& args, const float* x, const float* norm, int chunks, uint8_t* row,
                                                ByteGroup* groups, float* scratch) {
  const int vectors = args.cols / 4, all = chunks * kChunkCols / 4;
  float4 values[kVectors];
  const auto load = [&](int i) { return i < vectors ? reinterpret_cast<const float4*>(x)[i] : make_float4(0, 0, 0, 0); };
#pragma unroll
  for (int v = 0; v < kVectors; ++v) values[v] = load(threadIdx.x + v * kThreads);
  float scale = 1;
  if (norm != nullptr) {
    float sum = 0;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) sum += SquareSum(values[v]);
    for (int i = threadIdx.x + kVectors * kThreads; i < vectors; i += kThreads) sum += SquareSum(load(i));
    scale = rsqrtf(BlockSum<kThreads>(sum, scratch) / static_cast<float>(args.cols) + args.norm_eps);
  }
  const auto store = [&](int i, float4 v) {
    float4 w = make_float4(scale, scale, scale, scale);
    if (norm != nullptr && i < vectors) {
      const float4 n = reinterpret_cast<const float4*>(norm)[i];
      w.x *= n.x, w.y *= n.y, w.z *= n.z, w.w *= n.w;
    }
    StoreBytes<4>({v.x * w.x, v.y * w.y, v.z * w.z, v.w * w.w}, i < all, row + i * 4, groups + i / 8);
  };
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    if (v * kThreads < all) store(threadIdx.x + v * kThreads, values[v]);
  }
  for (int base = kVectors * kThreads; base < all; base += kThreads) store(base + threadIdx.x, load(base + threadIdx.x));
}

// One token's row of fp16 as bytes.
template <int kThreads>
__device__ __forceinline__ void StageHalfBytes(const FewProducts& args, const __half* x, int chunks, uint8_t* row, ByteGroup* groups) {
  constexpr int kAtOnce = 6;
  const int vectors = args.cols / 8, all = chunks * kChunkCols / 8;
  for (int base = 0; base < all; base += kAtOnce * kThreads) {
    uint4 values[kAtOnce];
#pragma unroll
    for (int v = 0; v < kAtOnce; ++v) {
      const int i = base + v * kThreads + threadIdx.x;
      values[v] = i < vectors ? reinterpret_cast<const uint4*>(x)[i] : make_uint4(0, 0, 0, 0);
    }
#pragma unroll
    for (int v = 0; v < kAtOnce; ++v) {
      if (base + v * kThreads >= all) break;
      const int i = base + v * kThreads + threadIdx.x;
      constexpr float kUnscale = 1.0f / kActivationScale;
      const float2 a = __half22float2(AsHalf2(values[v].x)), b = __half22float2(AsHalf2(values[v].y));
      const float2 c = __half22float2(AsHalf2(values[v].z)), d = __half22float2(AsHalf2(values[v].w));
      StoreBytes<8>({a.x * kUnscale, a.y * kUnscale, b.x * kUnscale, b.y * kUnscale, c.x * kUnscale, c.y * kUnscale, d.x * kUnscale,
                     d.y * kUnscale},
                    i < all, row + i * 8, groups + i / 4);
    }
  }
}

}  // namespace lb::cuda

// The activations that a product of few rows reads, to shared memory as fp16, normed on the way where the product asks for it.
#pragma once

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/fragments.cuh"
#include "kernels/cuda/launch.h"

namespace lb::cuda {

// Halves between two tokens in shared memory: 64 bytes more than a multiple of 128, so that the eight
// lanes of a 16-byte access fall into different banks.
__host__ __device__ constexpr int XStride(int chunks) { return chunks * kChunkCols + 32; }

// Vectors of four values that a thread holds of a row: rows of up to 4096 columns are read once.
constexpr int kVectors = 4;

__device__ __forceinline__ float SquareSum(float4 v) { return v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w; }

__device__ __forceinline__ uint2 NormedHalves(float4 v, float4 w, float scale) {
  return make_uint2(PackHalves(v.x * w.x * scale, v.y * w.y * scale), PackHalves(v.z * w.z * scale, v.w * w.w * scale));
}

// A row of f32, normed when there are weights (in shared memory), by the first kRowThreads threads of a block: in the order of
// sums of LaunchNorm. All of a thread's loads are under way before the first is used.
__device__ __forceinline__ void StageFloats(const FewProducts& args, const float* x, const float* norm, __half* row,
                                            float* scratch) {
  const int vectors = static_cast<int>(threadIdx.x) < kRowThreads ? args.cols / 4 : 0;
  uint2* out = reinterpret_cast<uint2*>(row);
  const bool once = vectors <= kVectors * kRowThreads;
  float4 values[kVectors];
  float sum = 0;
  if (once) {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const int i = threadIdx.x + v * kRowThreads;
      values[v] = i < vectors ? reinterpret_cast<const float4*>(x)[i] : make_float4(0, 0, 0, 0);
    }
#pragma unroll
    for (int v = 0; v < kVectors; ++v) sum += SquareSum(values[v]);
  } else if (norm != nullptr) {
#pragma unroll 1
    for (int i = threadIdx.x; i < vectors; i += kRowThreads) sum += SquareSum(reinterpret_cast<const float4*>(x)[i]);
  }
  float scale = kActivationScale;
  if (norm != nullptr) scale *= rsqrtf(BlockSum(sum, scratch) / static_cast<float>(args.cols) + args.norm_eps);
  const auto store = [&](int i, float4 v) {
    const float4 w = norm != nullptr ? reinterpret_cast<const float4*>(norm)[i] : make_float4(1, 1, 1, 1);
    out[i] = NormedHalves(v, w, scale);
  };
  if (once) {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const int i = threadIdx.x + v * kRowThreads;
      if (i < vectors) store(i, values[v]);
    }
  } else {
#pragma unroll 1
    for (int i = threadIdx.x; i < vectors; i += kRowThreads) store(i, reinterpret_cast<const float4*>(x)[i]);
  }
}

// This block's rows of x as fp16 in shared memory, with zeros behind the last column.
template <int kThreads>
__device__ __forceinline__ void StageRows(const FewProducts& args, int first, int count, int stride, const float* norm,
                                          __half* xs, float* scratch) {
#pragma unroll 1
  for (int n = 0; n < count; ++n) {
    __half* row = xs + n * stride;
    const int64_t at = static_cast<int64_t>(first + n) * args.cols;
    if (args.x.form == RowForm::kHalves) {
      const uint4* x = reinterpret_cast<const uint4*>(static_cast<const __half*>(args.x.data) + at);
      const int vectors = args.cols / 8;
#pragma unroll 1
      for (int base = threadIdx.x; base < vectors; base += 6 * kThreads) {
        uint4 values[6];
#pragma unroll
        for (int v = 0; v < 6; ++v) {
          if (base + v * kThreads < vectors) values[v] = x[base + v * kThreads];
        }
#pragma unroll
        for (int v = 0; v < 6; ++v) {
          if (base + v * kThreads < vectors) reinterpret_cast<uint4*>(row)[base + v * kThreads] = values[v];
        }
      }
    } else {
      StageFloats(args, static_cast<const float*>(args.x.data) + at, norm, row, scratch + n * (kThreads / 32));
    }
#pragma unroll 1
    for (int i = args.cols + threadIdx.x; i < stride; i += kThreads) row[i] = __half(0.0f);
  }
}

}  // namespace lb::cuda

// Activation functions and the sum of a block, as several kernels need them.
#pragma once

#include "kernels/op_types.h"

namespace lb::cuda {

__device__ __forceinline__ float Activated(Activation act, float x) {
  switch (act) {
    case Activation::kSilu: return x / (1.0f + __expf(-x));
    case Activation::kGeluTanh: {
      // Half of 1 + tanh(u) is 1 / (1 + exp(-2 u)).
      return x / (1.0f + __expf(-1.59576912160573071176f * (x + 0.044715f * x * x * x)));
    }
    case Activation::kGelu: return 0.5f * x * (1.0f + erff(x * 0.70710678118654752440f));
    case Activation::kRelu: return x > 0 ? x : 0.0f;
  }
  return x;
}

__device__ __forceinline__ float WarpSum(float v) {
#pragma unroll
  for (int i = 16; i > 0; i /= 2) v += __shfl_xor_sync(0xffffffff, v, i);
  return v;
}

inline constexpr int kRowThreads = 256;

// The sum over the first kThreads threads of a block, to all of its threads. `scratch` [warps of the block] is free
// afterwards once the block has met again.
template <int kThreads = kRowThreads>
__device__ __forceinline__ float BlockSum(float v, float* scratch) {
  v = WarpSum(v);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kThreads / 32; ++i) sum += scratch[i];
  return sum;
}

}  // namespace lb::cuda

// What the kernels of attention share: which keys a token may see, and the units of scores.
#pragma once

#include "kernels/cuda/kernel_launch.cuh"
#include "kernels/cuda/kv_rows.cuh"

namespace lb::cuda {

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

// Whether this block is the last of `blocks` to come here, so that it sees what all of them have written; by all threads of
// each. The ticket is zero before and after.
__device__ __forceinline__ bool IsLastOf(int blocks, int* ticket) {
  __shared__ bool is_last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    is_last = atomicAdd(ticket, 1) == blocks - 1;
    if (is_last) *ticket = 0;
  }
  __syncthreads();
  if (!is_last) return false;
  __threadfence();
  return true;
}

// 2 to the x; 0 for what is far below zero.
__device__ __forceinline__ float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// What a query is multiplied by: scores come out in log2 units, but for a soft cap, which comes first.
__device__ __forceinline__ float QueryScale(const AttentionParams& params) {
  return params.softcap > 0 ? params.scale : params.scale * kLog2E;
}

}  // namespace lb::cuda

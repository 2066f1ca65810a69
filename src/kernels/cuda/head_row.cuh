// One head of one token by one warp: loaded, normed and rotated in shared memory.
#pragma once

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/kv_rows.cuh"
#include "kernels/cuda/launch.h"

namespace lb::cuda {

enum class HeadKind { kQuery, kKey, kValue };

// The head's `global` values [dim] to `row`, as attention wants them; the warp has met when it returns.
__device__ __forceinline__ void PrepareHead(const RopeStore& args, HeadKind kind, int token, const float* global, int dim,
                                            float* row, int lane) {
  const float* norm = kind == HeadKind::kQuery ? args.q_norm : kind == HeadKind::kKey ? args.k_norm : nullptr;
  float squares = 0;
  for (int i = lane; i < dim; i += 32) {
    const float v = global[i];
    squares += v * v;
    row[i] = v;
  }
  if (norm != nullptr) {
    const float scale = rsqrtf(WarpSum(squares) / static_cast<float>(dim) + args.norm_eps);
    for (int i = lane; i < dim; i += 32) row[i] = row[i] * scale * norm[i];
  }
  __syncwarp();
  if (kind == HeadKind::kValue || args.cosines == nullptr) return;
  const float* cosines = args.cosines + static_cast<int64_t>(token) * args.pairs;
  const float* sines = args.sines + static_cast<int64_t>(token) * args.pairs;
  for (int i = lane; i < args.pairs; i += 32) {
    float& a = row[args.halves ? i : 2 * i];
    float& b = row[args.halves ? i + args.pairs : 2 * i + 1];
    const float c = cosines[i], s = sines[i], old_a = a, old_b = b;
    a = old_a * c - old_b * s;
    b = old_a * s + old_b * c;
  }
  __syncwarp();
}

// A prepared key or value to the token's place in the pool.
__device__ __forceinline__ void StoreHead(const RopeStore& args, HeadKind kind, int token, int head, const float* row, int lane) {
  const bool key = kind == HeadKind::kKey;
  const DType dtype = key ? args.kv.k_dtype : args.kv.v_dtype;
  const int dim = key ? args.k_dim : args.v_dim, slot = args.slots[token];
  StoreKvRow(dtype, row, dim,
             KvRowAt(key ? args.kv.k : args.kv.v, dtype, dim, args.kv_heads, slot / kKvBlockTokens, head, slot % kKvBlockTokens), lane);
}

}  // namespace lb::cuda

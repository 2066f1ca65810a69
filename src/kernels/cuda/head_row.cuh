// One head of one token by one warp: loaded, normed and rotated in shared memory.
#pragma once

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/kv_rows.cuh"
#include "kernels/cuda/launch.h"

namespace lb::cuda {

enum class HeadKind { kQuery, kKey, kValue };
inline constexpr int kAheadPairs = 2;  // rotated pairs of a lane whose angles are loaded early: of heads of up to 128

// The head's `global` values [dim] to `row`, as attention wants them; the warp has met when it returns.
__device__ __forceinline__ void PrepareHead(const RopeStore& args, HeadKind kind, int token, const float* global, int dim,
                                            float* row, int lane) {
  const float* norm = kind == HeadKind::kQuery ? args.q_norm : kind == HeadKind::kKey ? args.k_norm : nullptr;
  const bool rotates = kind != HeadKind::kValue && args.cosines != nullptr;
  const float* cosines = args.cosines + static_cast<int64_t>(token) * args.pairs;
  const float* sines = args.sines + static_cast<int64_t>(token) * args.pairs;
  // All loads are under way before the first is used.
  float2 turn[kAheadPairs];
#pragma unroll
  for (int v = 0; v < kAheadPairs; ++v) {
    const int i = lane + 32 * v;
    if (rotates && i < args.pairs) turn[v] = make_float2(cosines[i], sines[i]);
  }
  float squares = 0;
#pragma unroll 4
  for (int i = lane; i < dim; i += 32) {
    const float v = global[i];
    squares += v * v;
    row[i] = v;
  }
  if (norm != nullptr) {
    const float scale = rsqrtf(WarpSum(squares) / static_cast<float>(dim) + args.norm_eps);
#pragma unroll 1
    for (int i = lane; i < dim; i += 32) row[i] = row[i] * scale * norm[i];
  }
  __syncwarp();
  if (!rotates) return;
  const auto rotate = [&](int i, float2 by) {
    float& a = row[args.halves ? i : 2 * i];
    float& b = row[args.halves ? i + args.pairs : 2 * i + 1];
    const float old_a = a, old_b = b;
    a = old_a * by.x - old_b * by.y;
    b = old_a * by.y + old_b * by.x;
  };
#pragma unroll
  for (int v = 0; v < kAheadPairs; ++v) {
    if (lane + 32 * v < args.pairs) rotate(lane + 32 * v, turn[v]);
  }
#pragma unroll 1
  for (int i = lane + 32 * kAheadPairs; i < args.pairs; i += 32) rotate(i, make_float2(cosines[i], sines[i]));
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

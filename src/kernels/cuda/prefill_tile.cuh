// Attention of 16 rows (heads of neighbouring tokens) by one warp, over keys and values in shared memory.
#pragma once

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/shared_tile.cuh"

namespace lb::cuda {

inline constexpr int kWarpRows = 16;

// Keys that are in shared memory at once.
constexpr int UnitKeys(int dim) { return dim > 128 ? 32 : 64; }
constexpr bool QueryInRegisters(int dim) { return dim <= 128; }
// Vectors of four floats that a warp leaves of a part, for each lane.
constexpr int PartVectors(int dim) { return dim / 8 + 1; }

// The state of a warp's 16 rows: lane 4 g + t has rows g and g + 8, dimensions 8 i + 2 t and the next of o[i].
template <int kDim>
struct PrefillTile {
  static constexpr int kKeys = UnitKeys(kDim);
  uint32_t q[QueryInRegisters(kDim) ? kDim / 16 : 1][4];
  float o[kDim / 8][4];
  float most[2];   // largest score so far, log2 units
  float total[2];  // sum of this lane's weights

  __device__ __forceinline__ void Clear() {
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) o[i][0] = o[i][1] = o[i][2] = o[i][3] = 0;
    most[0] = most[1] = kNothing;
    total[0] = total[1] = 0;
  }

  // A row of queries (f32 [kDim], null: zeros) as operands: `i` is the 16 dimensions, `r` 0 or 1 for row g or g + 8.
  static __device__ __forceinline__ void LoadQuery(const float* row, float scale, int i, int t, uint32_t* low, uint32_t* high) {
    float2 a = make_float2(0, 0), b = a;
    if (row != nullptr) {
      a = *reinterpret_cast<const float2*>(row + i * 16 + 2 * t);
      b = *reinterpret_cast<const float2*>(row + i * 16 + 8 + 2 * t);
    }
    *low = PackHalves(a.x * scale, a.y * scale);
    *high = PackHalves(b.x * scale, b.y * scale);
  }

  // Scores of the unit's keys.
  __device__ __forceinline__ void Scores(float (&s)[kKeys / 8][4], uint32_t k, uint32_t q_shared, int lane) const {
    const int m = lane / 8;
    const uint32_t row = k + static_cast<uint32_t>((m / 2 * 8 + lane % 8) * kDim * 2);
    const auto swizzled = static_cast<uint32_t>((m % 2 ^ lane % 8) * 16);
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0;
#pragma unroll
    for (int b = 0; b < kDim / 16; ++b) {
      uint32_t a[4];
      if constexpr (QueryInRegisters(kDim)) {
        a[0] = q[b][0], a[1] = q[b][1], a[2] = q[b][2], a[3] = q[b][3];
      } else {
        LoadMatrices(a, q_shared + PieceAt<kDim>(m % 2 * 8 + lane % 8, 2 * b + m / 2));
      }
#pragma unroll
      for (int n = 0; n < kKeys / 8; n += 2) {
        uint32_t keys[4];
        LoadMatrices(keys, row + n * 8 * kDim * 2 + (swizzled ^ (b * 32)));
        Mma(s[n], a, keys[0], keys[1]);
        Mma(s[n + 1], a, keys[2], keys[3]);
      }
    }
  }

  // Scores become weights; what was summed so far is scaled to the new maximum.
  __device__ __forceinline__ void Weigh(float (&s)[kKeys / 8][4]) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float largest = kNothing;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) largest = fmaxf(largest, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffff, largest, 1));
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffff, largest, 2));
      const float now = fmaxf(most[r], largest), keep = exp2f(most[r] - now);
      most[r] = now;
      total[r] *= keep;
#pragma unroll
      for (int i = 0; i < kDim / 8; ++i) o[i][2 * r] *= keep, o[i][2 * r + 1] *= keep;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 2 * r; i < 2 * r + 2; ++i) {
          s[n][i] = exp2f(s[n][i] - now);
          total[r] += s[n][i];
        }
      }
    }
  }

  __device__ __forceinline__ void AddValues(const float (&s)[kKeys / 8][4], uint32_t v, int lane) {
    const int m = lane / 8;
    const uint32_t row = v + static_cast<uint32_t>((m % 2 * 8 + lane % 8) * kDim * 2);
    const auto swizzled = static_cast<uint32_t>((m / 2 ^ lane % 8) * 16);
#pragma unroll
    for (int n = 0; n < kKeys / 16; ++n) {
      const uint32_t p[4] = {PackHalves(s[2 * n][0], s[2 * n][1]), PackHalves(s[2 * n][2], s[2 * n][3]),
                             PackHalves(s[2 * n + 1][0], s[2 * n + 1][1]), PackHalves(s[2 * n + 1][2], s[2 * n + 1][3])};
#pragma unroll
      for (int i = 0; i < kDim / 8; i += 2) {
        uint32_t values[4];
        LoadMatricesTransposed(values, row + n * 16 * kDim * 2 + (swizzled ^ (i * 16)));
        Mma(o[i], p, values[0], values[1]);
        Mma(o[i + 1], p, values[2], values[3]);
      }
    }
  }

  // Vectors of a part, those of neighbouring lanes side by side.
  __device__ __forceinline__ void StorePart(float4* part, int lane) const {
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) part[i * 32 + lane] = make_float4(o[i][0], o[i][1], o[i][2], o[i][3]);
    part[kDim / 8 * 32 + lane] = make_float4(most[0], most[1], total[0], total[1]);
  }
  __device__ __forceinline__ void AddPart(const float4* part, int lane) {
    const float4 sums = __ldcg(part + kDim / 8 * 32 + lane);
    const float now[2] = {fmaxf(most[0], sums.x), fmaxf(most[1], sums.y)};
    const float keep[2] = {exp2f(most[0] - now[0]), exp2f(most[1] - now[1])};
    const float add[2] = {exp2f(sums.x - now[0]), exp2f(sums.y - now[1])};
    total[0] = total[0] * keep[0] + sums.z * add[0];
    total[1] = total[1] * keep[1] + sums.w * add[1];
    most[0] = now[0], most[1] = now[1];
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) {
      const float4 v = __ldcg(part + i * 32 + lane);
      o[i][0] = o[i][0] * keep[0] + v.x * add[0];
      o[i][1] = o[i][1] * keep[0] + v.y * add[0];
      o[i][2] = o[i][2] * keep[1] + v.z * add[1];
      o[i][3] = o[i][3] * keep[1] + v.w * add[1];
    }
  }

  // The sum of weights of row r, over its four lanes.
  __device__ __forceinline__ float Total(int r) const {
    float v = total[r];
    v += __shfl_xor_sync(0xffffffff, v, 1);
    v += __shfl_xor_sync(0xffffffff, v, 2);
    return v;
  }
};

}  // namespace lb::cuda

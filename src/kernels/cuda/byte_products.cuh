// Products of narrow integer codes and activations rounded to 8 bits, on tensor cores (mma.m16n8k32): codes need next to no conversion.
// Activations have a scale for 32 columns, as on the CPU. What is subtracted from a code is subtracted from the sums instead.
#pragma once

#include "kernels/cuda/fragments.cuh"

namespace lb::cuda {

// Of 32 columns of a row of activations: x = scale * code.
struct ByteGroup {
  float scale;
  int16_t sums[2];  // of the codes of 16 columns
};

// D = A B + C in integers, A without sign. A is 16 x 32 (4 registers), B 32 x 8 (2), D 16 x 8: as Mma's, with four columns to a register.
__device__ __forceinline__ void MmaBytes(int (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, int c) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
      : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(c));
}

// An integer added to the bits of this float adds to its value, as long as it is below 2^22: no conversion.
inline constexpr int kFloatBits = 0x4b400000;
inline constexpr float kFloatOfBits = 12582912.0f;

// A lane's share of one chunk of a row tile: loaded early, multiplied late.
template <WeightForm kForm>
struct ByteChunk {
  static constexpr FormLayout kLayout = LayoutOf(kForm);
  static constexpr int kParts = ScalesBy16(kForm) ? 2 : 1;  // scales of 32 columns
  uint4 code;
  uint2 high;
  uint2 scale[kParts], bias[kParts];  // {row g: columns' first 32, second 32}, {row g + 8: ...}

  __device__ __forceinline__ void Load(const uint8_t* record, int lane) {
    code = LoadStream16(record + lane * 16);
    const uint8_t* at = record + kLayout.code_bytes;
    if constexpr (HighBits(kForm) == 1) high.x = LoadStream4(at + lane * 4);
    if constexpr (HighBits(kForm) == 2) high = LoadStream8(at + lane * 8);
    at += kLayout.high_bytes + lane / 4 * kParts * (HasBias(kForm) ? 16 : 8);
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      if constexpr (HasBias(kForm)) {
        const uint4 both = LoadStream16(at + p * 16);
        scale[p] = make_uint2(both.x, both.y);
        bias[p] = make_uint2(both.z, both.w);
      } else {
        scale[p] = LoadStream8(at + p * 8);
      }
    }
  }

  // Sums of 32 columns (`tile` 0 or 1) for rows g and g + 8 of token lane % 4, added to `sums`. `x`: the codes of columns 8 t to
  // 8 t + 7 of token lane / 8, which is column lane / 4 of B (odd ones repeat it); `group`: of token lane % 4.
  __device__ __forceinline__ void Add(int tile, uint2 x, const ByteGroup& group, int lane, float (&sums)[2]) const {
    uint32_t a[4];
    Codes(tile, 0, a[0], a[2]);
    Codes(tile, 1, a[1], a[3]);
    const uint2 b = make_uint2(__byte_perm(x.x, x.y, 0x5140), __byte_perm(x.x, x.y, 0x7362));
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      const bool here = kParts == 1 || lane % 4 / 2 == p;
      const int codes = kParts == 1 ? group.sums[0] + group.sums[1] : group.sums[p];
      int d[4];
      MmaBytes(d, a, here ? b.x : 0, here ? b.y : 0, kFloatBits - OffsetOf(kForm) * codes);
      sums[0] += HalfOf(scale[p].x, tile) * group.scale * (__int_as_float(d[0]) - kFloatOfBits);
      sums[1] += HalfOf(scale[p].y, tile) * group.scale * (__int_as_float(d[2]) - kFloatOfBits);
      if constexpr (HasBias(kForm)) {
        const float all = group.scale * (__int_as_float(kFloatBits + codes) - kFloatOfBits);
        sums[0] += HalfOf(bias[p].x, tile) * all;
        sums[1] += HalfOf(bias[p].y, tile) * all;
      }
    }
  }

 private:
  static __device__ __forceinline__ float HalfOf(uint32_t pair, int i) {
    const float2 both = __half22float2(AsHalf2(pair));
    return i == 0 ? both.x : both.y;
  }
  // Eight codes of row g + 8 * half: columns 0, 4, 1, 5 and 2, 6, 3, 7 of the lane's, as they lie.
  __device__ __forceinline__ void Codes(int tile, int half, uint32_t& low, uint32_t& high_ones) const {
    const uint32_t w = tile == 0 ? (half == 0 ? code.x : code.y) : (half == 0 ? code.z : code.w);
    low = w & 0x0f0f0f0f;
    high_ones = (w >> 4) & 0x0f0f0f0f;
    if constexpr (HighBits(kForm) == 1) {
      const uint32_t h = high.x >> (tile * 8 + half * 4);
      low |= (h & 0x00010001) << 4 | (h & 0x00040004) << 10;
      high_ones |= (h & 0x00020002) << 3 | (h & 0x00080008) << 9;
    } else if constexpr (HighBits(kForm) == 2) {
      const uint32_t h = (tile == 0 ? high.x : high.y) >> (half * 8);
      low |= (h & 0x00030003) << 4 | (h & 0x00300030) << 8;
      high_ones |= (h & 0x000c000c) << 2 | (h & 0x00c000c0) << 6;
    }
  }
};

}  // namespace lb::cuda

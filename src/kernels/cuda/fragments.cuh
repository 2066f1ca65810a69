// Tensor-core pieces: mma.m16n8k16 of fp16 into f32, and a chunk of weights as its A operands.
#pragma once

#include <cuda_fp16.h>

#include "kernels/cuda/launch.h"

namespace lb::cuda {

// D += A B. A is 16 x 16 (4 registers), B 16 x 8 (2), D 16 x 8 (4 floats): lane 4 g + t has rows g and
// g + 8, columns 2 t and 2 t + 1 of D, column g of B.
__device__ __forceinline__ void Mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ uint32_t AsBits(__half2 h) { return *reinterpret_cast<uint32_t*>(&h); }
__device__ __forceinline__ __half2 AsHalf2(uint32_t b) { return *reinterpret_cast<__half2*>(&b); }

// Weights are read once a step: they need not stay in L1.
__device__ __forceinline__ uint4 LoadStream16(const void* p) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
}
__device__ __forceinline__ uint2 LoadStream8(const void* p) {
  uint2 v;
  asm volatile("ld.global.nc.L1::no_allocate.v2.u32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p));
  return v;
}
__device__ __forceinline__ uint32_t LoadStream4(const void* p) {
  uint32_t v;
  asm volatile("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(v) : "l"(p));
  return v;
}

// f32 to fp16 with what is too large cut to the largest: an outlier must not become infinite. A NaN stays.
__device__ __forceinline__ uint32_t PackHalves(float a, float b) {
  uint32_t v;
  asm("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;" : "=r"(v) : "f"(b), "f"(a));
  return v;
}

// A lane's share of one chunk of a row tile: loaded early, decoded late.
template <WeightForm kForm>
struct Chunk {
  static constexpr FormLayout kLayout = LayoutOf(kForm);
  static constexpr int kCodeLoads = kLayout.code_bytes / 512;
  uint4 code[kCodeLoads];
  uint2 high;
  uint2 scale;
  uint2 bias;

  __device__ __forceinline__ void Load(const uint8_t* record, int lane) {
#pragma unroll
    for (int i = 0; i < kCodeLoads; ++i) code[i] = LoadStream16(record + i * 512 + lane * 16);
    if constexpr (HighBits(kForm) == 1) high.x = LoadStream4(record + kLayout.code_bytes + lane * 4);
    if constexpr (HighBits(kForm) == 2) high = LoadStream8(record + kLayout.code_bytes + lane * 8);
    if constexpr (kForm != WeightForm::kHalf) {
      const int g = lane / 4, part = lane % 4 / 2;
      const int group = ScalesBy16(kForm) ? g * 2 + part : g;
      const uint8_t* at = record + kLayout.code_bytes + kLayout.high_bytes + group * (HasBias(kForm) ? 16 : 8);
      if constexpr (HasBias(kForm)) {
        const uint4 both = LoadStream16(at);
        scale = make_uint2(both.x, both.y);
        bias = make_uint2(both.z, both.w);
      } else {
        scale = LoadStream8(at);
      }
    }
  }

  // The operands of the two products (step 0: columns 8 t to 8 t + 3, step 1: the next four) over a tile's 32 columns.
  __device__ __forceinline__ void Decode(int tile, uint32_t (&a)[2][4]) const {
    if constexpr (kForm == WeightForm::kHalf) {
      const uint4 g0 = code[tile * 2], g8 = code[tile * 2 + 1];
      a[0][0] = g0.x, a[0][2] = g0.y, a[1][0] = g0.z, a[1][2] = g0.w;
      a[0][1] = g8.x, a[0][3] = g8.y, a[1][1] = g8.z, a[1][3] = g8.w;
    } else {
      const __half2 subtract = __float2half2_rn(1024.0f + OffsetOf(kForm));
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        // scale = {row g: tile 0, tile 1}, {row g + 8: ...}
        const uint32_t pair = half == 0 ? scale.x : scale.y;
        const __half2 s = AsHalf2(__byte_perm(pair, 0, tile == 0 ? 0x1010 : 0x3232));
        uint32_t codes[4];
        Codes(tile, half, codes);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const __half2 value = __hsub2(AsHalf2(codes[i]), subtract);
          if constexpr (HasBias(kForm)) {
            const uint32_t biases = half == 0 ? bias.x : bias.y;
            const __half2 b = AsHalf2(__byte_perm(biases, 0, tile == 0 ? 0x1010 : 0x3232));
            a[i / 2][half + i % 2 * 2] = AsBits(__hfma2(value, s, b));
          } else {
            a[i / 2][half + i % 2 * 2] = AsBits(__hmul2(value, s));
          }
        }
      }
    }
  }

 private:
  // Four pairs of codes as the fp16 numbers 1024 + code.
  __device__ __forceinline__ void Codes(int tile, int half, uint32_t (&out)[4]) const {
    if constexpr (kForm == WeightForm::k8) {
      const uint32_t lo = half == 0 ? code[tile].x : code[tile].z;
      const uint32_t hi = half == 0 ? code[tile].y : code[tile].w;
      out[0] = __byte_perm(lo, 0x64646464, 0x4140);
      out[1] = __byte_perm(lo, 0x64646464, 0x4342);
      out[2] = __byte_perm(hi, 0x64646464, 0x4140);
      out[3] = __byte_perm(hi, 0x64646464, 0x4342);
    } else {
      const uint32_t w = tile == 0 ? (half == 0 ? code[0].x : code[0].y) : (half == 0 ? code[0].z : code[0].w);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        out[i] = ((w >> (4 * i)) & 0x000f000f) | 0x64006400;
        if constexpr (HighBits(kForm) == 1) {
          out[i] |= ((high.x >> (tile * 8 + half * 4 + i)) & 0x00010001) << 4;
        } else if constexpr (HighBits(kForm) == 2) {
          const uint32_t h = tile == 0 ? high.x : high.y;
          out[i] |= ((h >> ((half * 4 + i) * 2)) & 0x00030003) << 4;
        }
      }
    }
  }
};

// Where a row's value lies among all. Eight neighbouring columns, from a multiple of eight on, are neighbours in every form.
__device__ __forceinline__ int64_t PlaceOf(RowForm form, int64_t row, int col, int cols) {
  if (form != RowForm::kFragments) return row * cols + col;
  const int64_t fragment = row / kColumns * (cols / kFragmentCols) + col / kFragmentCols;
  return fragment * (kColumns * kFragmentCols) + (row % kColumns * (kFragmentCols / 8) + col % kFragmentCols / 8) * 8 + col % 8;
}

// One activation: f32, or fp16 times kActivationScale as products read it.
__device__ __forceinline__ void StoreScaled(void* y, RowForm form, int64_t at, float v) {
  if (form != RowForm::kFloats) {
    static_cast<__half*>(y)[at] = __low2half(AsHalf2(PackHalves(v * kActivationScale, 0)));
  } else {
    static_cast<float*>(y)[at] = v;
  }
}

// Programmatic dependent launch: what follows may start; what came before has ended.
__device__ __forceinline__ void LaunchNext() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
__device__ __forceinline__ void WaitForPrevious() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

}  // namespace lb::cuda

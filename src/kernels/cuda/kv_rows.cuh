// One row of K or V (a head's values of one token) in any type the pool can have: written by a warp,
// read eight values at a time.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include "kernels/cuda/fragments.cuh"
#include "kernels/op_types.h"

namespace lb::cuda {

__host__ __device__ constexpr int64_t KvRowBytes(DType dtype, int dim) {
  switch (dtype) {
    case DType::kF32: return int64_t{dim} * 4;
    case DType::kQ8_0: return int64_t{dim} / 32 * 34;
    case DType::kQ4_0: return int64_t{dim} / 32 * 18;
    case DType::kFP8E4M3: return dim;
    default: return int64_t{dim} * 2;
  }
}

__device__ __forceinline__ char* KvRowAt(void* base, DType dtype, int dim, int kv_heads, int64_t block,
                                         int head, int i) {
  return static_cast<char*>(base) + ((block * kv_heads + head) * kKvBlockTokens + i) * KvRowBytes(dtype, dim);
}

// The warp writes `row` [dim] f32 (shared memory).
__device__ __forceinline__ void StoreKvRow(DType dtype, const float* row, int dim, char* to, int lane) {
  switch (dtype) {
    case DType::kF32:
      for (int i = lane; i < dim; i += 32) reinterpret_cast<float*>(to)[i] = row[i];
      return;
    case DType::kF16:
      for (int i = lane; i < dim; i += 32) reinterpret_cast<__half*>(to)[i] = __float2half_rn(row[i]);
      return;
    case DType::kBF16:
      for (int i = lane; i < dim; i += 32) reinterpret_cast<__nv_bfloat16*>(to)[i] = __float2bfloat16_rn(row[i]);
      return;
    case DType::kFP8E4M3:
      for (int i = lane; i < dim; i += 32) {
        reinterpret_cast<__nv_fp8_storage_t*>(to)[i] = __nv_cvt_float_to_fp8(row[i], __NV_SATFINITE, __NV_E4M3);
      }
      return;
    default: break;
  }
  for (int b = 0; b < dim / 32; ++b) {
    const float x = row[b * 32 + lane];
    // The value of largest magnitude, its sign kept; the first among equals.
    float most = fabsf(x);
    int who = lane;
#pragma unroll
    for (int i = 16; i > 0; i /= 2) {
      const float other = __shfl_xor_sync(0xffffffff, most, i);
      const int where = __shfl_xor_sync(0xffffffff, who, i);
      if (other > most || (other == most && where < who)) most = other, who = where;
    }
    const float largest = __shfl_sync(0xffffffff, x, who);
    const bool eight = dtype == DType::kQ8_0;
    const float d = eight ? fabsf(largest) / 127.0f : largest / -8.0f;
    const float inverse = d != 0 ? 1.0f / d : 0.0f;
    char* block = to + b * (eight ? 34 : 18);
    if (lane == 0) *reinterpret_cast<__half*>(block) = __float2half_rn(d);
    if (eight) {
      const float rounded = roundf(x * inverse);
      reinterpret_cast<int8_t*>(block + 2)[lane] = fabsf(rounded) <= 127.0f ? static_cast<int8_t>(rounded) : 0;
    } else {
      const int code = min(15, max(0, static_cast<int>(x * inverse + 8.5f)));
      const int high = __shfl_down_sync(0xffffffff, code, 16);
      if (lane < 16) reinterpret_cast<uint8_t*>(block + 2)[lane] = static_cast<uint8_t>(code | high << 4);
    }
  }
}

// Two neighbouring FP8 values, the low 16 bits of `v`, as fp16.
__device__ __forceinline__ uint32_t Fp8Halves(uint32_t v) {
  const __half2_raw pair = __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(v), __NV_E4M3);
  return static_cast<uint32_t>(pair.y) << 16 | pair.x;
}

// Values 8 i to 8 i + 7 of a row as fp16.
template <DType kDType>
__device__ __forceinline__ uint4 LoadKv8(const char* row, int i) {
  if constexpr (kDType == DType::kF16) {
    return *reinterpret_cast<const uint4*>(row + i * 16);
  } else if constexpr (kDType == DType::kBF16) {
    const uint4 raw = *reinterpret_cast<const uint4*>(row + i * 16);
    const auto convert = [](uint32_t v) {
      return PackHalves(__uint_as_float(v << 16), __uint_as_float(v & 0xffff0000));
    };
    return make_uint4(convert(raw.x), convert(raw.y), convert(raw.z), convert(raw.w));
  } else if constexpr (kDType == DType::kFP8E4M3) {
    const uint2 raw = *reinterpret_cast<const uint2*>(row + i * 8);
    return make_uint4(Fp8Halves(raw.x), Fp8Halves(raw.x >> 16), Fp8Halves(raw.y), Fp8Halves(raw.y >> 16));
  } else if constexpr (kDType == DType::kF32) {
    const float4 a = reinterpret_cast<const float4*>(row)[2 * i], b = reinterpret_cast<const float4*>(row)[2 * i + 1];
    return make_uint4(PackHalves(a.x, a.y), PackHalves(a.z, a.w), PackHalves(b.x, b.y), PackHalves(b.z, b.w));
  } else if constexpr (kDType == DType::kQ8_0) {
    const char* block = row + i / 4 * 34;
    const float d = __half2float(*reinterpret_cast<const __half*>(block));
    const uint16_t* q = reinterpret_cast<const uint16_t*>(block + 2 + i % 4 * 8);
    uint32_t out[4];
#pragma unroll
    for (int p = 0; p < 4; ++p) {
      const uint16_t pair = q[p];
      out[p] = PackHalves(d * static_cast<int8_t>(pair & 0xff), d * static_cast<int8_t>(pair >> 8));
    }
    return make_uint4(out[0], out[1], out[2], out[3]);
  } else {
    const char* block = row + i / 4 * 18;
    const float d = __half2float(*reinterpret_cast<const __half*>(block));
    const uint16_t* q = reinterpret_cast<const uint16_t*>(block + 2 + i % 2 * 8);
    const int shift = i % 4 / 2 * 4;
    uint32_t out[4];
#pragma unroll
    for (int p = 0; p < 4; ++p) {
      const int pair = q[p] >> shift;
      out[p] = PackHalves(d * ((pair & 15) - 8), d * ((pair >> 8 & 15) - 8));
    }
    return make_uint4(out[0], out[1], out[2], out[3]);
  }
}

// Calls f with the type as a constant.
template <typename F>
void WithKvType(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kF32: return f.template operator()<DType::kF32>();
    case DType::kBF16: return f.template operator()<DType::kBF16>();
    case DType::kQ8_0: return f.template operator()<DType::kQ8_0>();
    case DType::kQ4_0: return f.template operator()<DType::kQ4_0>();
    case DType::kFP8E4M3: return f.template operator()<DType::kFP8E4M3>();
    default: return f.template operator()<DType::kF16>();
  }
}

}  // namespace lb::cuda

// How a weight matrix lies in a GPU's memory: codes as narrow as in the file (or the next width the
// GPU reads well), reordered so that a warp's tensor-core operand is one 16-byte load per lane.
//
// The matrix is cut into row tiles of 16 rows, these into chunks of 64 columns; a chunk is one
// contiguous record, records of a row tile follow each other. In a chunk lane 4 g + t of a warp owns
// rows g and g + 8, and of each 32 columns those from 8 t to 8 t + 7: what mma.m16n8k16 wants as its
// A operand when the columns of both operands are counted in that order.
//
// A weight is  w = (scale * (code - offset) + bias) / 2^exponent  with fp16 scale and bias; the exponent, one for
// the matrix, keeps small scales out of fp16's denormals.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define LB_HOST_DEVICE __host__ __device__
#else
#define LB_HOST_DEVICE
#endif

namespace lb::cuda {

inline constexpr int kTileRows = 16;
inline constexpr int kChunkCols = 64;

enum class WeightForm : uint8_t {
  k8,        // 8-bit codes, scale per 32: Q8_0; formats of levels (IQ4_NL, IQ4_XS, MXFP4) written out
  k4,        // 4-bit codes, scale per 32: Q4_0
  k4Bias,    // with bias: Q4_1, Q4_K
  k5,        // 4 + 1 bits, scale per 32: Q5_0
  k5Bias,    // with bias: Q5_1, Q5_K
  k6By16,    // 4 + 2 bits, scale per 16: Q6_K
  k4By16,    // 4-bit codes, scale per 16: Q3_K
  k4BiasBy16,  // with bias: Q2_K
  kHalf,     // fp16 values: F16, BF16, F32
};
inline constexpr int kNumForms = 9;

// Bytes of a chunk record: codes, high bits, scales (and biases).
struct FormLayout {
  int code_bytes;   // of the low plane
  int high_bytes;   // of the plane of fifth (and sixth) bits
  int scale_bytes;  // halves [g 8][per16: 2][row half 2][tile 2], biases behind the scales of each g
  constexpr int record() const { return code_bytes + high_bytes + scale_bytes; }
};

constexpr FormLayout LayoutOf(WeightForm form) {
  switch (form) {
    case WeightForm::k8: return {1024, 0, 64};
    case WeightForm::k4: return {512, 0, 64};
    case WeightForm::k4Bias: return {512, 0, 128};
    case WeightForm::k5: return {512, 128, 64};
    case WeightForm::k5Bias: return {512, 128, 128};
    case WeightForm::k6By16: return {512, 256, 128};
    case WeightForm::k4By16: return {512, 0, 128};
    case WeightForm::k4BiasBy16: return {512, 0, 256};
    case WeightForm::kHalf: return {2048, 0, 0};
  }
  return {0, 0, 0};
}
constexpr bool HasBias(WeightForm form) {
  return form == WeightForm::k4Bias || form == WeightForm::k5Bias || form == WeightForm::k4BiasBy16;
}
constexpr bool ScalesBy16(WeightForm form) {
  return form == WeightForm::k6By16 || form == WeightForm::k4By16 || form == WeightForm::k4BiasBy16;
}
constexpr int HighBits(WeightForm form) {
  return form == WeightForm::k5 || form == WeightForm::k5Bias ? 1 : form == WeightForm::k6By16 ? 2 : 0;
}

// Calls f with the form as a constant.
template <typename F>
LB_HOST_DEVICE inline void WithForm(WeightForm form, F&& f) {
  switch (form) {
    case WeightForm::k8: return f.template operator()<WeightForm::k8>();
    case WeightForm::k4: return f.template operator()<WeightForm::k4>();
    case WeightForm::k4Bias: return f.template operator()<WeightForm::k4Bias>();
    case WeightForm::k5: return f.template operator()<WeightForm::k5>();
    case WeightForm::k5Bias: return f.template operator()<WeightForm::k5Bias>();
    case WeightForm::k6By16: return f.template operator()<WeightForm::k6By16>();
    case WeightForm::k4By16: return f.template operator()<WeightForm::k4By16>();
    case WeightForm::k4BiasBy16: return f.template operator()<WeightForm::k4BiasBy16>();
    case WeightForm::kHalf: return f.template operator()<WeightForm::kHalf>();
  }
}

// What is subtracted from a code.
constexpr int OffsetOf(WeightForm form) {
  switch (form) {
    case WeightForm::k8: return 128;
    case WeightForm::k4: return 8;
    case WeightForm::k5: return 16;
    case WeightForm::k6By16: return 32;
    case WeightForm::k4By16: return 4;
    default: return 0;
  }
}

// A matrix as kernels see it: device pointers by value.
struct DeviceWeight {
  const uint8_t* data = nullptr;  // [row tiles][chunks] records
  WeightForm form = WeightForm::k8;
  int rows = 0;
  int cols = 0;        // of the model
  int chunks = 0;      // of a row tile: cols rounded up
  float unscale = 1;   // 2^-exponent
  int64_t tile_bytes() const { return int64_t{chunks} * LayoutOf(form).record(); }
  int tiles() const { return (rows + kTileRows - 1) / kTileRows; }
};

// Activations are rounded to fp16 after this factor, so that values up to a million fit.
inline constexpr float kActivationScale = 1.0f / 16;

}  // namespace lb::cuda

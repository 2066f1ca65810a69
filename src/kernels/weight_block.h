// 32 neighbouring weights of a row as integers and scales: the one reading of every block format on
// which the exact integer products of the CPU stand (docs/contracts/kernels.md).
#pragma once

#include <cstdint>

#include "quant/dtype.h"

namespace lb {

// How the value of a weight follows from its integers.
enum class WeightKind : uint8_t {
  kFloat,  // F32, F16, BF16: no integers
  kBlock,  // 32 values with a scale of their own:         w = d * value (+ m)
  kSuper,  // 256 values share d, 16 or 32 share a scale:  w = d * scale * value (- m * minimum)
};

struct WeightFormat {
  WeightKind kind = WeightKind::kFloat;
  bool has_minimum = false;
  bool scale_per_16 = false;  // two scales (and minimums) in 32 values
  // value = code - offset; formats with levels instead of even steps look `code` up in `levels`.
  int offset = 0;
  const int8_t* levels = nullptr;  // [16] or null
};

const WeightFormat& FormatOf(DType dtype);  // kI32 has none: CHECK

struct WeightBlock {
  uint8_t code[32];   // as stored, unsigned
  int8_t value[32];   // what it stands for
  int scale[2];       // kSuper: of values 0-15 and 16-31 (the same twice unless scale_per_16); else 1
  int minimum[2];     // kSuper with minimums; else 0
  uint16_t d_bits;    // fp16; MXFP4: the exponent byte
  uint16_t m_bits;    // fp16
  float d;
  float m;
};

// Block `index` (values 32 * index and on) of a row of `dtype` (not kFloat) that begins at `row`.
void ReadWeightBlock(DType dtype, const void* row, int64_t index, WeightBlock* out);
// The same without `value`, `d` and `m`.
void ReadWeightCodes(DType dtype, const void* row, int64_t index, WeightBlock* out);

}  // namespace lb

// From a matrix in a GGUF file to the layout of weight_layout.h. Host code, tested without a GPU.
#pragma once

#include <vector>

#include "kernels/cuda/weight_layout.h"
#include "tensor/tensor.h"

namespace lb::cuda {

struct PackedWeight {
  DeviceWeight view;          // data is null
  std::vector<uint8_t> data;  // what belongs there
};

WeightForm FormOf(DType dtype);

// `raw` is [rows, cols] of any weight type. Uses a few threads.
PackedWeight PackWeight(const TensorView& raw);

// Element (row, col) of a packed matrix, as the kernels decode it (tests).
float PackedElement(const PackedWeight& packed, int row, int col);

}  // namespace lb::cuda

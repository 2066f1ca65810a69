// From a matrix in a GGUF file to the layout of weight_layout.h. Host code, tested without a GPU.
#pragma once

#include <vector>

#include "kernels/cpu/thread_pool.h"
#include "kernels/cuda/weight_layout.h"
#include "tensor/tensor.h"

namespace lb::cuda {

struct PackedWeight {
  DeviceWeight view;          // data is null
  std::vector<uint8_t> data;  // what belongs there
};

WeightForm FormOf(DType dtype);

// `raw` is [rows, cols] of any weight type. What it will be on the device, without data.
DeviceWeight PlanWeight(const TensorView& raw, ThreadPool& threads);
// The row tiles from `first` on, `count` of them, to `out`: count * w.tile_bytes() bytes.
void PackTiles(const TensorView& raw, const DeviceWeight& w, int64_t first, int64_t count, uint8_t* out, ThreadPool& threads);
// All of it, on one thread (tests).
PackedWeight PackWeight(const TensorView& raw);

// Element (row, col) of a packed matrix, as the kernels decode it (tests).
float PackedElement(const PackedWeight& packed, int row, int col);

}  // namespace lb::cuda

// Products of many rows by cuBLASLt: y = x W^T with fp16 operands and f32 sums.
#pragma once

#include <cublasLt.h>

#include <map>
#include <tuple>

#include "kernels/cuda/launch.h"

namespace lb::cuda {

class LibraryProduct {
 public:
  LibraryProduct();
  ~LibraryProduct();
  LibraryProduct(const LibraryProduct&) = delete;
  LibraryProduct& operator=(const LibraryProduct&) = delete;

  struct Args {
    const void* w = nullptr;  // [rows, cols] fp16
    const void* x = nullptr;  // [tokens, cols] fp16
    const float* bias = nullptr;
    void* y = nullptr;  // [tokens, rows] f32, or fp16
    int rows = 0, cols = 0, tokens = 0;
    float factor = 1;
    bool accumulate = false;
    bool half_out = false;
  };
  // False when the library has no way for this shape.
  bool Run(const Launcher& on, const Args& args);

 private:
  struct Plan {
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t w = nullptr, x = nullptr, y = nullptr;
    cublasLtMatmulAlgo_t algorithm{};
    bool usable = false;
  };
  Plan Make(const Args& args);

  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  std::map<std::tuple<int, int, int, bool, bool, bool>, Plan> plans_;
};

}  // namespace lb::cuda

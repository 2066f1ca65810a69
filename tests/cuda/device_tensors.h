// Tensors in a backend's memory, so that one test body runs on the reference and on the GPU.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/backends.h"
#include "kernels/cuda_loader.h"
#include "tests/kernels/random_data.h"

namespace lb {

// The GPU under test; the test program is only run where there is one.
inline Ops& Gpu(bool deterministic = false) {
  static std::unique_ptr<Ops> ops[2];
  auto& made = ops[deterministic];
  if (made == nullptr) {
    CudaOptions options;
    options.deterministic = deterministic;
    auto result = MakeCudaOps(options);
    if (!result.has_value()) {
      ADD_FAILURE() << result.error().message;
      std::abort();
    }
    made = std::move(result).value();
  }
  return *made;
}

class Tensor {
 public:
  Tensor(Ops& ops, std::initializer_list<int64_t> dims, const std::vector<float>* values = nullptr) : ops_(&ops) {
    view = TensorView(nullptr, DType::kF32, dims);
    memory_ = std::move(ops.Allocate(static_cast<size_t>(view.num_bytes()))).value();
    view.data = memory_.get();
    if (values != nullptr) ops.CopyFromHost(values->data(), view);
  }
  std::vector<float> Read() const {
    std::vector<float> out(static_cast<size_t>(view.num_elements()));
    ops_->CopyToHost(view, out.data());
    return out;
  }
  TensorView view;

 private:
  Ops* ops_;
  DeviceMemory memory_{nullptr, nullptr};
};

// ||a - b|| / ||b||; a NaN or infinity anywhere gives 1e9.
inline double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return 1e9;
    difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    size += static_cast<double>(b[i]) * b[i];
  }
  return std::sqrt(difference / std::max(size, 1e-30));
}

}  // namespace lb

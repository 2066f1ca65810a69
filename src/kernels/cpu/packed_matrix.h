// A weight matrix in panels (layout.h).
#pragma once

#include "kernels/cpu/layout.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/ops.h"

namespace lb {

class PackedMatrix : public Matrix {
 public:
  const uint8_t* panel(int64_t p) const {
    return static_cast<const uint8_t*>(memory_.get()) + p * panel_bytes_;
  }
  int64_t num_panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
  int64_t panel_bytes() const { return panel_bytes_; }
  // kPack... of `dtype`: the same numbers.
  int pack() const { return static_cast<int>(dtype); }

  // Packs on all threads of the pool. kOutOfMemory, or what CheckWeight says.
  static Result<std::unique_ptr<PackedMatrix>> Make(const TensorView& raw, ThreadPool& pool);

 private:
  PackedMatrix() : memory_(nullptr, nullptr) {}

  DeviceMemory memory_;
  int64_t panel_bytes_ = 0;
};

}  // namespace lb

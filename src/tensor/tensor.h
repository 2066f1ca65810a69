// TensorView: where some numbers lie and how to read them. It never owns them.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "base/check.h"
#include "quant/dtype.h"

namespace lb {

// Row-major, outermost dimension first: shape {rows, cols} has `cols` neighbouring values. Rows are
// dense (no strides), since that is what GGUF holds and what every kernel here takes.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kF32;
  int rank = 0;
  std::array<int64_t, 4> shape{};

  TensorView() = default;
  TensorView(void* data_in, DType dtype_in, std::initializer_list<int64_t> dims)
      : data(data_in), dtype(dtype_in), rank(static_cast<int>(dims.size())) {
    CHECK_LE(dims.size(), shape.size());
    int i = 0;
    for (int64_t d : dims) shape[i++] = d;
  }

  // The innermost dimension, and the product of all others.
  int64_t cols() const { return rank == 0 ? 0 : shape[rank - 1]; }
  int64_t rows() const {
    int64_t n = 1;
    for (int i = 0; i + 1 < rank; ++i) n *= shape[i];
    return rank == 0 ? 0 : n;
  }
  int64_t num_elements() const { return rows() * cols(); }
  int64_t row_bytes() const { return RowBytes(dtype, cols()); }
  int64_t num_bytes() const { return rows() * row_bytes(); }
  bool empty() const { return data == nullptr; }

  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
  float* f32() const {
    DCHECK(dtype == DType::kF32);
    return static_cast<float*>(data);
  }
  float* f32_row(int64_t r) const { return f32() + r * cols(); }
  // The same numbers under another shape of as many elements.
  TensorView Reshape(std::initializer_list<int64_t> dims) const {
    TensorView v(data, dtype, dims);
    CHECK_EQ(v.num_elements(), num_elements());
    return v;
  }
};

}  // namespace lb

// Root-mean-square norms: of the residual stream, and of each head of queries and keys.
#pragma once

#include "kernels/ops.h"
#include "model/weight_loader.h"

namespace lb {

// y = x / rms(x) * weight for each of the rows of `weight.size` values in x; y may be x.
inline void RmsNorm(Ops& ops, const Vector& weight, float eps, const TensorView& x,
                    const TensorView& y) {
  const int64_t rows = x.num_elements() / weight.size;
  ops.RmsNorm(x.Reshape({rows, weight.size}), weight.get(), eps, y.Reshape({rows, weight.size}));
}

}  // namespace lb

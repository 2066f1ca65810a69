// Norms: of the residual stream, and (root-mean-square) of each head of queries and keys.
#pragma once

#include <string>

#include "kernels/ops.h"
#include "model/weight_loader.h"

namespace lb {

// y = x / rms(x) * weight for each of the rows of `weight.size` values in x; y may be x.
inline void RmsNorm(Ops& ops, const Vector& weight, float eps, const TensorView& x,
                    const TensorView& y) {
  const int64_t rows = x.num_elements() / weight.size;
  ops.RmsNorm(x.Reshape({rows, weight.size}), weight.get(), eps, y.Reshape({rows, weight.size}));
}

struct LayerNormWeights {
  Vector weight, bias;
};

// <name>.weight and <name>.bias, [width]
inline LayerNormWeights LoadLayerNorm(WeightLoader& loader, const std::string& name,
                                      int64_t width) {
  return {loader.LoadVector(name + ".weight", width), loader.LoadVector(name + ".bias", width)};
}

// y = (x - mean) / deviation * weight + bias, row by row; y may be x.
inline void LayerNorm(Ops& ops, const LayerNormWeights& w, float eps, const TensorView& x,
                      const TensorView& y) {
  ops.LayerNorm(x, w.weight.get(), w.bias.get(), eps, y);
}

}  // namespace lb

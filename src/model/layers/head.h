// What stands behind pooling: dense layers of an embedding model, or a classifier that scores.
#pragma once

#include <memory>
#include <vector>

#include "kernels/ops.h"
#include "model/config.h"
#include "model/weight_loader.h"
#include "tensor/arena.h"

namespace lb {

struct PoolingHead {
  std::vector<std::unique_ptr<Matrix>> dense;  // one after the other, with nothing between
  std::unique_ptr<Matrix> classifier, scores;  // scores(tanh(classifier(x))); either may be absent
  Vector classifier_bias, scores_bias;
};

// Sets has_dense, pooled_width and num_scores of `config` from dense_{2,3}.weight, cls.weight and
// cls.output.weight, where the file has them. A matrix that does not fit the one before it is
// recorded as an error.
void ReadPoolingHead(ConfigReader& keys, ModelConfig* config);
PoolingHead LoadPoolingHead(WeightLoader& loader, const ModelConfig& config);

// Arena bytes of RunHead for `rows` pooled states, its output included.
size_t HeadScratchBytes(const PoolingHead& head, int rows);

// pooled [n, width] through the classifier to [n, num_scores] (kRank), or through the dense layers
// to [n, pooled_width].
void RunHead(Ops& ops, const PoolingHead& head, Pooling pooling, const TensorView& pooled,
             Arena& arena, const TensorView& out);

}  // namespace lb

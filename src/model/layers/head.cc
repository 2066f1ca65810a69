#include "model/layers/head.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace lb {
namespace {

constexpr const char* kDense[] = {"dense_2.weight", "dense_3.weight"};
constexpr char kClassifier[] = "cls.weight";
constexpr char kScores[] = "cls.output.weight";

// Outputs of a matrix that takes `cols` inputs; `cols` when the file has no such matrix.
int RowsOf(ConfigReader& keys, const std::string& name, int cols) {
  constexpr int64_t kMost = 1 << 20;
  const gguf::Tensor* tensor = keys.file().FindTensor(name);
  if (tensor == nullptr) return cols;
  const int64_t rows = tensor->view.rows();
  if (rows < 1 || rows > kMost || tensor->view.cols() != cols) {
    keys.Fail(ErrorCode::kInvalidArgument,
              fmt::format("tensor {} is {} x {}; it must take {} values and give 1 to {}", name,
                          tensor->view.cols(), rows, cols, kMost));
    return cols;
  }
  return static_cast<int>(rows);
}

void Multiply(Ops& ops, const Matrix& w, const Vector& bias, const TensorView& x,
              const TensorView& y) {
  const MatmulOut product{&w, y, bias.get(), false, true};
  ops.Matmul(x, std::span(&product, 1));
}

}  // namespace

void ReadPoolingHead(ConfigReader& keys, ModelConfig* config) {
  for (const char* name : kDense) {
    config->has_dense |= keys.file().FindTensor(name) != nullptr;
    config->pooled_width = RowsOf(keys, name, config->pooled_width);
  }
  const bool classifies = keys.file().FindTensor(kClassifier) != nullptr;
  const bool scores = keys.file().FindTensor(kScores) != nullptr;
  if (!classifies && !scores) return;
  config->num_scores = RowsOf(keys, kScores, RowsOf(keys, kClassifier, config->width));
}

PoolingHead LoadPoolingHead(WeightLoader& loader, const ModelConfig& config) {
  PoolingHead head;
  int64_t cols = config.width;
  for (const char* name : kDense) {
    if (!loader.Has(name)) continue;
    const int64_t rows = loader.RowsOf(name);
    head.dense.push_back(loader.LoadMatrix(name, rows, cols));
    cols = rows;
  }
  cols = config.width;
  if (loader.Has(kClassifier)) {
    const int64_t rows = loader.RowsOf(kClassifier);
    head.classifier = loader.LoadMatrix(kClassifier, rows, cols);
    head.classifier_bias = loader.LoadOptionalVector("cls.bias", rows);
    cols = rows;
  }
  if (loader.Has(kScores)) {
    head.scores = loader.LoadMatrix(kScores, config.num_scores, cols);
    head.scores_bias = loader.LoadOptionalVector("cls.output.bias", config.num_scores);
  }
  return head;
}

size_t HeadScratchBytes(const PoolingHead& head, int rows) {
  size_t dense = 0, scores = 0;
  for (const auto& w : head.dense) dense += Arena::RoundedBytes({rows, w->rows});
  for (const Matrix* w : {head.classifier.get(), head.scores.get()}) {
    if (w != nullptr) scores += Arena::RoundedBytes({rows, w->rows});
  }
  return std::max(dense, scores);
}

void RunHead(Ops& ops, const PoolingHead& head, Pooling pooling, const TensorView& pooled,
             Arena& arena, const TensorView& out) {
  const int64_t n = pooled.rows();
  TensorView x = pooled;
  if (pooling == Pooling::kRank) {
    if (head.classifier != nullptr) {
      const TensorView y = head.scores == nullptr ? out : arena.Alloc({n, head.classifier->rows});
      Multiply(ops, *head.classifier, head.classifier_bias, x, y);
      ops.Softcap(y, 1.0f);  // tanh
      x = y;
    }
    if (head.scores != nullptr) Multiply(ops, *head.scores, head.scores_bias, x, out);
    return;
  }
  for (size_t i = 0; i < head.dense.size(); ++i) {
    const bool last = i + 1 == head.dense.size();
    const TensorView y = last ? out : arena.Alloc({n, head.dense[i]->rows});
    Multiply(ops, *head.dense[i], {}, x, y);
    x = y;
  }
}

}  // namespace lb

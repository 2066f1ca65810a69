// WeightLoader: brings a model's tensors from its file into a backend.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gguf/gguf_file.h"
#include "kernels/ops.h"
#include "model/model.h"

namespace lb {

// A vector of f32 in the backend's memory; empty when an optional tensor is absent.
struct Vector {
  DeviceMemory data{nullptr, nullptr};
  int64_t size = 0;
  const float* get() const { return static_cast<const float*>(data.get()); }
  bool empty() const { return data == nullptr; }
};

// The layer of a tensor "blk.<layer>.<name>"; -1: of none.
int LayerOf(std::string_view name);

// "blk.<layer>.<name>"
inline std::string LayerName(int layer, std::string_view name) {
  return "blk." + std::to_string(layer) + "." + std::string(name);
}

// Every method looks a tensor up by name, checks its shape and hands it to the backend. The first
// error sticks and makes the rest do nothing, so that a family lists all its tensors in a row and
// asks Finish() once. Pages of the mapped file are given back as soon as a tensor has been
// repacked, so that weights are not in memory twice. Single thread; borrows file and ops.
class WeightLoader {
 public:
  WeightLoader(const gguf::GgufFile& file, Ops& ops, LoadProgress progress);

  // A weight of a product, [rows, cols].
  std::unique_ptr<Matrix> LoadMatrix(const std::string& name, int64_t rows, int64_t cols);
  // `count` rows, `first` and what follows, of a matrix [rows, cols] that holds several.
  std::unique_ptr<Matrix> LoadRows(const std::string& name, int64_t rows, int64_t cols,
                                   int64_t first, int64_t count);
  // An embedding table, [rows, cols]. Views the file.
  std::unique_ptr<Matrix> LoadTable(const std::string& name, int64_t rows, int64_t cols);
  Vector LoadVector(const std::string& name, int64_t size);
  Vector LoadOptionalVector(const std::string& name, int64_t size);
  bool Has(const std::string& name) const { return file_.FindTensor(name) != nullptr; }
  // Rows of a tensor that is there.
  int64_t RowsOf(const std::string& name) const { return file_.FindTensor(name)->view.rows(); }

  // The first error, if any. Otherwise warns, in one line, of tensors that nobody asked for.
  Result<void> Finish();

  // The matrices of layers and of the vocabulary, as loaded so far.
  std::vector<NamedMatrix> TakeMatrices() { return std::move(matrices_); }

  int64_t bytes_loaded() const { return bytes_loaded_; }

 private:
  // The checked tensor, or null after an error.
  const gguf::Tensor* Take(const std::string& name, std::initializer_list<int64_t> shape);
  void Loaded(const gguf::Tensor& tensor);
  void FailOn(const gguf::Tensor& tensor, const Error& error);

  const gguf::GgufFile& file_;
  Ops& ops_;
  LoadProgress progress_;
  Result<void> status_;
  std::vector<NamedMatrix> matrices_;
  std::vector<bool> used_;  // by index in file_.tensors()
  int64_t bytes_total_ = 0;
  int64_t bytes_loaded_ = 0;
};

}  // namespace lb

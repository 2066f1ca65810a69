#include "model/weight_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/log.h"
#include "base/printable.h"

namespace lb {
namespace {

// As GGUF tools print a shape: innermost dimension first. Leading ones mean nothing.
std::string ShapeText(const TensorView& view) {
  std::string text;
  for (int i = view.rank - 1; i >= 0; --i) {
    if (!text.empty()) text += " x ";
    text += std::to_string(view.shape[i]);
  }
  return text;
}

bool SameShape(const TensorView& view, std::initializer_list<int64_t> shape) {
  int first = 0;
  while (view.rank - first > static_cast<int>(shape.size()) && view.shape[first] == 1) ++first;
  if (view.rank - first != static_cast<int>(shape.size())) return false;
  return std::equal(shape.begin(), shape.end(), view.shape.begin() + first);
}

// What Pass multiplies or looks up: not what stands behind pooling.
bool Adaptable(std::string_view name) {
  return name.starts_with("blk.") || name == "output.weight" || name == "token_embd.weight";
}

}  // namespace

int LayerOf(std::string_view name) {
  int layer = -1;
  if (name.starts_with("blk.")) std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  return layer;
}

WeightLoader::WeightLoader(const gguf::GgufFile& file, Ops& ops, LoadProgress progress)
    : file_(file), ops_(ops), progress_(std::move(progress)), used_(file.tensors().size()) {
  for (const gguf::Tensor& tensor : file.tensors()) bytes_total_ += tensor.view.num_bytes();
}

const gguf::Tensor* WeightLoader::Take(const std::string& name,
                                       std::initializer_list<int64_t> shape) {
  if (!status_) return nullptr;
  const gguf::Tensor* tensor = file_.FindTensor(name);
  if (tensor == nullptr) {
    status_ = Fail(ErrorCode::kInvalidArgument, "{}: tensor {} is missing", file_.path(), name);
    return nullptr;
  }
  if (!SameShape(tensor->view, shape)) {
    const TensorView wanted =
        shape.size() == 1
            ? TensorView(nullptr, DType::kF32, {*shape.begin()})
            : TensorView(nullptr, DType::kF32, {*shape.begin(), *(shape.begin() + 1)});
    status_ =
        Fail(ErrorCode::kInvalidArgument, "{}: tensor {} has shape {}, the model's keys ask for {}",
             file_.path(), name, ShapeText(tensor->view), ShapeText(wanted));
    return nullptr;
  }
  if (tensor->view.dtype == DType::kI32) {
    status_ = Fail(ErrorCode::kInvalidArgument, "{}: tensor {} is I32, a weight cannot be",
                   file_.path(), name);
    return nullptr;
  }
  return tensor;
}

void WeightLoader::Loaded(const gguf::Tensor& tensor) {
  const size_t index = static_cast<size_t>(&tensor - file_.tensors().data());
  if (used_[index]) return;  // a tied matrix: its bytes have been counted
  used_[index] = true;
  bytes_loaded_ += tensor.view.num_bytes();
  if (progress_ && bytes_total_ > 0) {
    progress_(
        static_cast<float>(static_cast<double>(bytes_loaded_) / static_cast<double>(bytes_total_)));
  }
}

void WeightLoader::FailOn(const gguf::Tensor& tensor, const Error& error) {
  status_ = Fail(error.code, "{}: tensor {}: {}", file_.path(), tensor.name, error.message);
}

std::unique_ptr<Matrix> WeightLoader::LoadMatrix(const std::string& name, int64_t rows,
                                                 int64_t cols) {
  return LoadRows(name, rows, cols, 0, rows);
}

std::unique_ptr<Matrix> WeightLoader::LoadRows(const std::string& name, int64_t rows,
                                               int64_t cols, int64_t first, int64_t count) {
  const gguf::Tensor* tensor = Take(name, {rows, cols});
  if (tensor == nullptr) return nullptr;
  // The disk reads this tensor in large pieces, and the next one while this one is packed.
  file_.Advise(*tensor, MappedFile::Advice::kWillNeed);
  if (tensor != &file_.tensors().back()) file_.Advise(tensor[1], MappedFile::Advice::kWillNeed);
  const TensorView& all = tensor->view;
  const TensorView part(static_cast<char*>(all.data) + first * all.row_bytes(), all.dtype,
                        {count, cols});
  const OfLayer of_layer(ops_, LayerOf(name));
  auto matrix = ops_.LoadMatrix(part);
  if (!matrix) {
    FailOn(*tensor, matrix.error());
    return nullptr;
  }
  if (first + count == rows) file_.Advise(*tensor, MappedFile::Advice::kDontNeed);
  Loaded(*tensor);
  if (count == rows && Adaptable(name)) matrices_.push_back({name, matrix->get(), false});
  return std::move(*matrix);
}

std::unique_ptr<Matrix> WeightLoader::LoadTable(const std::string& name, int64_t rows,
                                                int64_t cols) {
  const gguf::Tensor* tensor = Take(name, {rows, cols});
  if (tensor == nullptr) return nullptr;
  auto table = ops_.LoadTable(tensor->view);
  if (!table) {
    FailOn(*tensor, table.error());
    return nullptr;
  }
  Loaded(*tensor);
  if (Adaptable(name)) matrices_.push_back({name, table->get(), true});
  return std::move(*table);
}

Vector WeightLoader::LoadVector(const std::string& name, int64_t size) {
  const gguf::Tensor* tensor = Take(name, {size});
  if (tensor == nullptr) return {};
  const OfLayer of_layer(ops_, LayerOf(name));
  auto data = ops_.LoadVector(tensor->view);
  if (!data) {
    FailOn(*tensor, data.error());
    return {};
  }
  Loaded(*tensor);
  return Vector{std::move(*data), size};
}

Vector WeightLoader::LoadOptionalVector(const std::string& name, int64_t size) {
  return Has(name) ? LoadVector(name, size) : Vector();
}

Result<void> WeightLoader::Finish() {
  if (!status_) return status_;
  constexpr int kNamed = 5;
  std::string names;
  int unused = 0;
  for (size_t i = 0; i < used_.size(); ++i) {
    if (used_[i]) continue;
    if (++unused <= kNamed)
      names += (names.empty() ? "" : ", ") + Printable(file_.tensors()[i].name);
  }
  if (unused > 0) {
    LogWarning("{}: {} of {} tensors are not used by this model: {}{}", file_.path(), unused,
               used_.size(), names, unused > kNamed ? ", ..." : "");
  }
  if (progress_) progress_(1.0f);
  return {};
}

}  // namespace lb

#include "model/adapter.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "base/printable.h"
#include "model/layers/pass.h"
#include "model/weight_loader.h"

namespace lb {
namespace {

constexpr std::string_view kA = ".lora_a", kB = ".lora_b";
constexpr std::string_view kEmbedding = "token_embd.weight";

Result<void> CheckKind(const gguf::GgufFile& file, const Model& model) {
  const gguf::Metadata& metadata = file.metadata();
  const auto expect = [&](const char* key, const std::string& wanted) -> Result<void> {
    LB_ASSIGN_OR_RETURN(const auto value, metadata.String(key));
    if (value == wanted) return {};
    return Fail(ErrorCode::kInvalidArgument, "{}: no LoRA adapter for this model: {} is {}, not \"{}\"",
                file.path(), key, value ? "\"" + Printable(*value) + "\"" : "missing", wanted);
  };
  LB_RETURN_IF_ERROR(expect("general.type", "adapter"));
  LB_RETURN_IF_ERROR(expect("adapter.type", "lora"));
  LB_RETURN_IF_ERROR(expect("general.architecture", model.config().arch));
  if (metadata.Find("adapter.alora.invocation_tokens") != nullptr) {
    return Fail(ErrorCode::kUnsupported,
                "{}: an activated adapter (aLoRA), which begins at certain tokens only; this server "
                "has adapters that are on for all of a request",
                file.path());
  }
  return {};
}

std::string Shape(const TensorView& view) {
  return std::to_string(view.cols()) + " x " + std::to_string(view.rows());
}

}  // namespace

Result<std::unique_ptr<Adapter>> Adapter::Load(std::unique_ptr<gguf::GgufFile> file,
                                               const Model& model, Ops& ops) {
  std::unique_ptr<Adapter> adapter(new Adapter);
  adapter->file_ = std::move(file);
  const gguf::GgufFile& f = *adapter->file_;
  LB_RETURN_IF_ERROR(CheckKind(f, model));
  LB_ASSIGN_OR_RETURN(const auto alpha, f.metadata().Float("adapter.lora.alpha"));
  if (alpha && !(std::isfinite(*alpha) && std::fabs(*alpha) <= 1e9)) {
    return Fail(ErrorCode::kInvalidArgument, "{}: adapter.lora.alpha is {}; allowed: up to 1e9",
                f.path(), *alpha);
  }
  std::map<std::string, std::pair<const gguf::Tensor*, const gguf::Tensor*>> halves;
  for (const gguf::Tensor& tensor : f.tensors()) {
    const bool a = tensor.name.ends_with(kA);
    if (!a && !tensor.name.ends_with(kB)) {
      return Fail(ErrorCode::kUnsupported,
                  "{}: tensor {} is no half of a pair (its name ends neither in {} nor in {})",
                  f.path(), Printable(tensor.name), kA, kB);
    }
    auto& pair = halves[tensor.name.substr(0, tensor.name.size() - kA.size())];
    (a ? pair.first : pair.second) = &tensor;
  }
  if (halves.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "{}: an adapter without a tensor", f.path());
  }
  for (const auto& [name, pair] : halves) {
    LB_RETURN_IF_ERROR(
        adapter->AddPair(name, pair.first, pair.second, model, alpha.value_or(0), ops));
  }
  return adapter;
}

Result<void> Adapter::AddPair(const std::string& name, const gguf::Tensor* a,
                              const gguf::Tensor* b, const Model& model, double alpha, Ops& ops) {
  const auto fail = [&](const std::string& message, ErrorCode code = ErrorCode::kInvalidArgument) {
    return Fail(code, "{}: tensor {}: {}", path(), Printable(name), message);
  };
  if (a == nullptr || b == nullptr) {
    return fail(fmt::format("has {} and no {}", a == nullptr ? kB : kA, a == nullptr ? kA : kB));
  }
  const bool embeds = name == kEmbedding;
  const Matrix* w = nullptr;
  for (const NamedMatrix& named : model.matrices()) {
    if (named.name != name) continue;
    if (embeds && !named.is_table) {
      return fail("this model has one matrix for its input and its output, and an adapter of it "
                  "does not say for which it is",
                  ErrorCode::kUnsupported);
    }
    w = named.matrix;
  }
  if (w == nullptr) {
    return fail("the model has no such matrix, or none that adapters change", ErrorCode::kUnsupported);
  }
  // A of an embedding has a row for each token: it is looked up, not multiplied.
  const TensorView& av = a->view;
  const TensorView& bv = b->view;
  if (av.rank > 2 || bv.rank > 2) return fail("its halves must be matrices");
  const int64_t rank = embeds ? av.cols() : av.rows();
  const int64_t in = embeds ? av.rows() : av.cols();
  if (in != (embeds ? w->rows : w->cols) || bv.rows() != (embeds ? w->cols : w->rows) ||
      bv.cols() != rank) {
    return fail(fmt::format("its halves are {} and {}, which do not fit each other and the model's "
                            "{} x {}",
                            Shape(av), Shape(bv), w->cols, w->rows));
  }
  if (rank < 1 || rank > kMaxAdapterRank) {
    return fail(fmt::format("is of rank {}; allowed: 1 to {}", rank, kMaxAdapterRank));
  }
  Pair pair;
  const OfLayer of_layer(ops, LayerOf(name));
  auto loaded_a = embeds ? ops.LoadTable(av) : ops.LoadMatrix(av);
  if (!loaded_a.has_value()) return fail(loaded_a.error().message, loaded_a.error().code);
  auto loaded_b = ops.LoadMatrix(bv);
  if (!loaded_b.has_value()) return fail(loaded_b.error().message, loaded_b.error().code);
  pair.a = std::move(*loaded_a);
  pair.b = std::move(*loaded_b);
  if (alpha != 0) pair.scale = static_cast<float>(alpha / static_cast<double>(rank));
  bytes_ += pair.a->bytes + pair.b->bytes;
  max_rank_ = std::max(max_rank_, static_cast<int>(rank));
  pairs_.emplace(w, std::move(pair));
  return {};
}

size_t AdapterScratchBytes(const Model& model, int tokens) {
  int rank = 0;
  for (const auto& adapter : model.adapters()) rank = std::max(rank, adapter->max_rank());
  return rank == 0 ? 0 : Pass::kMostProducts * Arena::RoundedBytes({tokens, rank});
}

Model::Model() = default;
Model::~Model() = default;

void Model::AddAdapter(std::unique_ptr<Adapter> adapter) {
  adapters_.push_back(std::move(adapter));
}

}  // namespace lb

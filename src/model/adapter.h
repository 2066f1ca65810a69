// A LoRA adapter (Hu et al., arXiv:2106.09685): for some of a model's matrices W a pair of thin ones,
// so that a request that has it gets W x + scale * B (A x). W itself stays as it is, and is in memory
// once, whoever uses which adapter.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "gguf/gguf_file.h"
#include "kernels/ops.h"
#include "model/model.h"

namespace lb {

// The largest rank this build takes: far above any in use, and it bounds a pass's scratch.
inline constexpr int64_t kMaxAdapterRank = 1024;

// Immutable. Owns its file, which the table of an adapted embedding views.
class Adapter {
 public:
  struct Pair {
    std::unique_ptr<Matrix> a;  // [rank, cols of W]; of token_embd.weight a table [vocab, rank]
    std::unique_ptr<Matrix> b;  // [rows of W, rank]
    float scale = 1.0f;         // alpha / rank
  };

  // `file` as convert_lora_to_gguf.py writes it. Anything that is no LoRA adapter of exactly this
  // model (its architecture, the names and shapes of its matrices), and any tensor without its other
  // half, is an error of one line that names the file, the tensor and the numbers.
  static Result<std::unique_ptr<Adapter>> Load(std::unique_ptr<gguf::GgufFile> file,
                                               const Model& model, Ops& ops);

  // Null when the adapter leaves this matrix as it is.
  const Pair* Find(const Matrix* w) const {
    const auto found = pairs_.find(w);
    return found == pairs_.end() ? nullptr : &found->second;
  }
  const gguf::GgufFile& file() const { return *file_; }
  const std::string& path() const { return file_->path(); }
  int max_rank() const { return max_rank_; }
  int num_pairs() const { return static_cast<int>(pairs_.size()); }
  int64_t bytes() const { return bytes_; }

 private:
  Adapter() = default;
  Result<void> AddPair(const std::string& name, const gguf::Tensor* a, const gguf::Tensor* b,
                       const Model& model, double alpha, Ops& ops);

  std::unique_ptr<gguf::GgufFile> file_;
  std::unordered_map<const Matrix*, Pair> pairs_;
  int max_rank_ = 0;
  int64_t bytes_ = 0;
};

// Arena bytes that the model's adapters take in a pass of `tokens` tokens, beside its ArenaBytes.
size_t AdapterScratchBytes(const Model& model, int tokens);

}  // namespace lb

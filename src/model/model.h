// Model: immutable weights and one forward pass.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/gguf_file.h"
#include "kernels/ops.h"
#include "model/forward_batch.h"
#include "model/pooling.h"
#include "tensor/arena.h"

namespace lb {

// Layers that keep the same tokens share a KV group and its block tables.
struct KvGroup {
  int window = 0;           // 0: every token is kept; else only the last `window`
  std::vector<int> layers;  // indices of the model's layers
};

// What the engine must know of a model; the arch file fills it from GGUF metadata.
struct ModelConfig {
  std::string arch;  // "qwen2"
  std::string name;  // general.name, or the file's
  int num_layers = 0;
  int width = 0;  // embedding_length
  int num_heads = 0;
  std::vector<int> num_kv_heads;  // [num_layers]
  int k_dim = 0, v_dim = 0;       // values of one head
  int ffn_width = 0;
  int vocab_size = 0;      // rows of the output matrix
  int context_length = 0;  // trained positions
  float rms_eps = 0;       // of its norms, whichever kind they are
  bool generates = true;   // false: it reads texts as a whole, in both directions, and makes vectors
  std::optional<Pooling> pooling;  // as the file says
  bool has_dense = false;  // dense layers behind pooling
  int pooled_width = 0;    // values of a vector: width, or what those layers make of it
  int num_scores = 0;      // outputs of the score head; 0: there is none
  std::vector<KvGroup> kv_groups;  // every layer is in exactly one
  int64_t num_parameters = 0;
};

class Adapter;

// A matrix as the file names it, for who changes what it computes (model/adapter.h).
struct NamedMatrix {
  std::string name;
  const Matrix* matrix = nullptr;
  bool is_table = false;  // looked up; else multiplied
};

// Const once loaded and its adapters added, shared freely. Forward runs on the engine thread.
class Model {
 public:
  Model();
  virtual ~Model();
  const ModelConfig& config() const { return config_; }

  // Runs the batch, writes K and V of its tokens into `kv`, and its results to `out`. Takes its
  // scratch from `arena`.
  virtual void Forward(Ops& ops, const ForwardBatch& batch, KvLayers kv, Arena& arena,
                       const ForwardOutput& out) const = 0;
  // Bytes of arena that a batch of `tokens` tokens and `output_rows` rows takes at most.
  virtual size_t ArenaBytes(int tokens, int output_rows) const = 0;
  // What is behind pooling: pooled [n, width] to vectors [n, pooled_width], or for kRank to scores
  // [n, num_scores]. Only for models that have it: has_dense, or num_scores > 0.
  virtual void Head(Ops& ops, Pooling pooling, const TensorView& pooled, Arena& arena,
                    const TensorView& out) const;

  // Those that adapters may change.
  std::span<const NamedMatrix> matrices() const { return matrices_; }
  // Numbered in this order. Before the first pass, and before memory is taken for passes.
  void AddAdapter(std::unique_ptr<Adapter> adapter);
  std::span<const std::unique_ptr<Adapter>> adapters() const { return adapters_; }

 protected:
  ModelConfig config_;
  std::vector<NamedMatrix> matrices_;

 private:
  std::vector<std::unique_ptr<Adapter>> adapters_;
};

// fraction 0..1; called from the loading thread.
using LoadProgress = std::function<void(float fraction)>;

// The configuration alone, without loading a weight (inspect, memory estimates). Errors as below.
Result<ModelConfig> ReadModelConfig(const gguf::GgufFile& file);

// Builds the model that general.architecture names; an unknown one is kUnsupported and names the
// known ones. `file` must outlive the model (embedding tables view it).
Result<std::unique_ptr<Model>> LoadModel(const gguf::GgufFile& file, Ops& ops,
                                         const LoadProgress& progress);

}  // namespace lb

#include "app/bench/limits.h"

#include <algorithm>

namespace lb::app {

ModelCost CostOf(const gguf::GgufFile& file) {
  ModelCost cost;
  const bool tied = file.FindTensor("output.weight") == nullptr;
  for (const gguf::Tensor& tensor : file.tensors()) {
    const TensorView& view = tensor.view;
    if (view.rank < 2) continue;
    if (tensor.name == (tied ? "token_embd.weight" : "output.weight")) {
      cost.output_bytes = view.num_bytes();
      cost.output_values = view.num_elements();
    } else if (tensor.name != "token_embd.weight") {
      cost.layer_bytes += view.num_bytes();
      cost.layer_values += view.num_elements();
    }
  }
  return cost;
}

namespace {

// Over all layers: bytes of K and V that one token at `position` sees, and operations on them.
struct Attention {
  double bytes = 0;
  double operations = 0;
};
Attention AttentionAt(const ModelConfig& model, KvDTypes kv, double position) {
  Attention sum;
  const auto row = static_cast<double>(RowBytes(kv.k, model.k_dim) + RowBytes(kv.v, model.v_dim));
  for (const KvGroup& group : model.kv_groups) {
    const double seen =
        group.window > 0 ? std::min<double>(position + 1, group.window) : position + 1;
    for (int layer : group.layers) {
      sum.bytes += seen * row * model.num_kv_heads[static_cast<size_t>(layer)];
      sum.operations += seen * 2 * model.num_heads * (model.k_dim + model.v_dim);
    }
  }
  return sum;
}

}  // namespace

BenchLimit LimitOf(const BenchTest& test, const BenchOptions& options, const ModelCost& cost,
                   const ModelConfig& model, KvDTypes kv, const Walls& walls) {
  const bool prefill = test.kind == BenchTest::Kind::kPrefill;
  const double tokens = prefill ? options.prompt : test.streams;
  const double samples = prefill ? 1 : test.streams;
  const double position =
      prefill ? options.prompt / 2.0
              : std::max(1, test.depth) + options.answer * options.repetitions / 2.0;
  const Attention attention = AttentionAt(model, kv, position);
  const double bytes = static_cast<double>(cost.layer_bytes + cost.output_bytes) +
                       attention.bytes * (prefill ? 1 : test.streams);
  const double products = 2.0 * (static_cast<double>(cost.layer_values) * tokens +
                                 static_cast<double>(cost.output_values) * samples);
  const double memory_seconds = bytes / (walls.read_gbs * 1e9);
  double compute_seconds = 0;
  if (walls.int8_gops > 0 && walls.f32_gflops > 0) {
    compute_seconds = products / (walls.int8_gops * 1e9) +
                      attention.operations * tokens / (walls.f32_gflops * 1e9);
  }
  if (memory_seconds >= compute_seconds) return {tokens / memory_seconds, "memory"};
  return {tokens / compute_seconds, "compute"};
}

}  // namespace lb::app

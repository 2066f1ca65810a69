#include "model/layers/mlp.h"

#include <utility>

namespace lb {

MlpWeights LoadGatedMlp(WeightLoader& loader, const ModelConfig& config, int layer) {
  const std::string prefix = LayerName(layer, "ffn_");
  auto gate = loader.LoadMatrix(prefix + "gate.weight", config.ffn_width, config.width);
  MlpWeights w = LoadPlainMlp(loader, config, layer);
  w.gate = std::move(gate);
  w.gate_bias = loader.LoadOptionalVector(prefix + "gate.bias", config.ffn_width);
  return w;
}

MlpWeights LoadPlainMlp(WeightLoader& loader, const ModelConfig& config, int layer) {
  const std::string prefix = LayerName(layer, "ffn_");
  MlpWeights w;
  w.up = loader.LoadMatrix(prefix + "up.weight", config.ffn_width, config.width);
  w.down = loader.LoadMatrix(prefix + "down.weight", config.width, config.ffn_width);
  w.up_bias = loader.LoadOptionalVector(prefix + "up.bias", config.ffn_width);
  w.down_bias = loader.LoadOptionalVector(prefix + "down.bias", config.width);
  return w;
}

void GatedMlp(Pass& pass, const MlpWeights& w, Activation activation, const TensorView& y,
              bool accumulate) {
  const int64_t rows = pass.h.rows();
  const TensorView gate = pass.arena.Alloc({rows, w.gate->rows});
  const TensorView up = pass.arena.Alloc({rows, w.up->rows});
  const MatmulOut products[] = {{w.gate.get(), gate, w.gate_bias.get(), false},
                                {w.up.get(), up, w.up_bias.get(), false}};
  pass.Multiply(pass.h, products);
  pass.ops.GluMul(activation, gate, up, gate);
  const MatmulOut down{w.down.get(), y, w.down_bias.get(), accumulate};
  pass.Multiply(gate, std::span(&down, 1));
}

void PlainMlp(Pass& pass, const MlpWeights& w, Activation activation, const TensorView& y,
              bool accumulate) {
  const TensorView up = pass.arena.Alloc({pass.h.rows(), w.up->rows});
  const MatmulOut first{w.up.get(), up, w.up_bias.get(), false};
  pass.Multiply(pass.h, std::span(&first, 1));
  pass.ops.Activate(activation, up);
  const MatmulOut down{w.down.get(), y, w.down_bias.get(), accumulate};
  pass.Multiply(up, std::span(&down, 1));
}

size_t MlpScratchBytes(const ModelConfig& config, int tokens) {
  return 2 * Arena::RoundedBytes({tokens, config.ffn_width});
}

}  // namespace lb

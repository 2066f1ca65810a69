// The feed-forward block: gated, down(act(gate(h)) * up(h)), or plain, down(act(up(h))).
#pragma once

#include <memory>

#include "model/layers/pass.h"
#include "model/weight_loader.h"

namespace lb {

struct MlpWeights {
  std::unique_ptr<Matrix> gate, up, down;  // plain: no gate
  Vector gate_bias, up_bias, down_bias;  // empty in most files
};

// blk.<layer>.ffn_{gate,up,down}.{weight,bias}
MlpWeights LoadGatedMlp(WeightLoader& loader, const ModelConfig& config, int layer);

// Without a gate.
MlpWeights LoadPlainMlp(WeightLoader& loader, const ModelConfig& config, int layer);

// Reads pass.h; writes y [rows, width], or adds to it when `accumulate`. y may be pass.h.
void GatedMlp(Pass& pass, const MlpWeights& w, Activation activation, const TensorView& y,
              bool accumulate);

void PlainMlp(Pass& pass, const MlpWeights& w, Activation activation, const TensorView& y,
              bool accumulate);

// Of either.
size_t MlpScratchBytes(const ModelConfig& config, int tokens);

}  // namespace lb

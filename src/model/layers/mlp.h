// The gated feed-forward block: down(act(gate(h)) * up(h)).
#pragma once

#include <memory>

#include "model/layers/pass.h"
#include "model/weight_loader.h"

namespace lb {

struct GatedMlpWeights {
  std::unique_ptr<Matrix> gate, up, down;
  Vector gate_bias, up_bias, down_bias;  // empty in most files
};

// blk.<layer>.ffn_{gate,up,down}.{weight,bias}
GatedMlpWeights LoadGatedMlp(WeightLoader& loader, const ModelConfig& config, int layer);

// Reads pass.h; writes y [rows, width], or adds to it when `accumulate`. y may be pass.h only
// without `accumulate`.
void GatedMlp(Pass& pass, const GatedMlpWeights& w, Activation activation, const TensorView& y,
              bool accumulate);

size_t GatedMlpScratchBytes(const ModelConfig& config, int tokens);

}  // namespace lb

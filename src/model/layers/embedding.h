// Both ends of a model: token ids to the residual stream, and the residual stream to its results.
#pragma once

#include <memory>

#include "model/layers/pass.h"
#include "model/weight_loader.h"

namespace lb {

struct Vocabulary {
  std::unique_ptr<Matrix> embedding;  // table [vocab, width]
  Vector output_norm;                 // [width]
  std::unique_ptr<Matrix> output;     // [vocab, width]; null in a model that makes vectors only
};

// token_embd.weight, output_norm.weight, output.weight. A file without the last one ties it to the
// first, which is then loaded a second time in the form that products want.
Vocabulary LoadVocabulary(WeightLoader& loader, const ModelConfig& config);

// pass.x = rows of the table, times `scale`.
void EmbedTokens(Pass& pass, const Vocabulary& w, float scale);

// Of norm(pass.x), which has the rows of pass.output_rows() by now: logits = W * norm, soft-capped
// where softcap > 0, and the hidden states as they are.
void Outputs(Pass& pass, const Vocabulary& w, float rms_eps, float softcap,
             const ForwardOutput& out);

}  // namespace lb

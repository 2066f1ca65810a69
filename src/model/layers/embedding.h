// Both ends of a model: token ids to the residual stream, and the residual stream to logits.
#pragma once

#include <memory>

#include "model/layers/pass.h"
#include "model/weight_loader.h"

namespace lb {

struct Vocabulary {
  std::unique_ptr<Matrix> embedding;  // table [vocab, width]
  Vector output_norm;                 // [width]
  std::unique_ptr<Matrix> output;     // [vocab, width]
};

// token_embd.weight, output_norm.weight, output.weight. A file without the last one ties it to the
// first, which is then loaded a second time in the form that products want.
Vocabulary LoadVocabulary(WeightLoader& loader, const ModelConfig& config);

// pass.x = rows of the table, times `scale`.
void EmbedTokens(Pass& pass, const Vocabulary& w, float scale);

// logits [R, vocab] = W * norm(pass.x), soft-capped where softcap > 0. pass.x has R rows by now.
void Logits(Pass& pass, const Vocabulary& w, float rms_eps, float softcap,
            const TensorView& logits);

}  // namespace lb

#include "model/layers/embedding.h"

#include "model/layers/norm.h"

namespace lb {

Vocabulary LoadVocabulary(WeightLoader& loader, const ModelConfig& config) {
  Vocabulary w;
  w.embedding = loader.LoadTable("token_embd.weight", config.vocab_size, config.width);
  w.output_norm = loader.LoadVector("output_norm.weight", config.width);
  if (!config.generates) return w;
  const bool tied = !loader.Has("output.weight");
  w.output = loader.LoadMatrix(tied ? "token_embd.weight" : "output.weight", config.vocab_size,
                               config.width);
  return w;
}

void EmbedTokens(Pass& pass, const Vocabulary& w, float scale) {
  pass.Embed(*w.embedding, scale);
}

void Outputs(Pass& pass, const Vocabulary& w, float rms_eps, float softcap,
             const ForwardOutput& out) {
  const int64_t rows = pass.num_logit_rows(), width = pass.x.cols();
  CHECK_EQ(pass.x.rows(), pass.num_output_rows());
  if (rows < pass.x.rows()) {
    const TensorView x(pass.x.f32_row(rows), DType::kF32, {pass.x.rows() - rows, width});
    RmsNorm(pass.ops, w.output_norm, rms_eps, x, out.hidden);
  }
  if (rows == 0) return;
  const TensorView x(pass.x.data, DType::kF32, {rows, width});
  const TensorView h(pass.h.data, DType::kF32, {rows, width});
  RmsNorm(pass.ops, w.output_norm, rms_eps, x, h);
  const MatmulOut product{w.output.get(), out.logits, nullptr, false};
  pass.Multiply(h, std::span(&product, 1));
  if (softcap > 0) pass.ops.Softcap(out.logits, softcap);
}

}  // namespace lb

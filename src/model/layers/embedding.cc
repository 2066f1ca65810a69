#include "model/layers/embedding.h"

#include "model/layers/norm.h"

namespace lb {

Vocabulary LoadVocabulary(WeightLoader& loader, const ModelConfig& config) {
  Vocabulary w;
  w.embedding = loader.LoadTable("token_embd.weight", config.vocab_size, config.width);
  w.output_norm = loader.LoadVector("output_norm.weight", config.width);
  const bool tied = !loader.Has("output.weight");
  w.output = loader.LoadMatrix(tied ? "token_embd.weight" : "output.weight", config.vocab_size,
                               config.width);
  return w;
}

void EmbedTokens(Pass& pass, const Vocabulary& w, float scale) {
  pass.ops.Embed(*w.embedding, pass.batch.token_ids, scale, pass.x);
}

void Logits(Pass& pass, const Vocabulary& w, float rms_eps, float softcap,
            const TensorView& logits) {
  CHECK_EQ(pass.x.rows(), pass.num_logit_rows());
  RmsNorm(pass.ops, w.output_norm, rms_eps, pass.x, pass.h);
  const MatmulOut product{w.output.get(), logits, nullptr, false};
  pass.ops.Matmul(pass.h, std::span(&product, 1));
  if (softcap > 0) pass.ops.Softcap(logits, softcap);
}

}  // namespace lb

// qwen3: dense Qwen 3. No biases; each head of q and k is normalised before the rotation, and a
// head's size is its own key.

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "model/arch/arch.h"
#include "model/config.h"
#include "model/layers/attention.h"
#include "model/layers/embedding.h"
#include "model/layers/mlp.h"
#include "model/layers/norm.h"
#include "model/layers/rope.h"
#include "model/weight_loader.h"

namespace lb {
namespace {

struct Layer {
  Vector attn_norm;
  AttentionWeights attn;
  Vector ffn_norm;
  MlpWeights mlp;
};

class Qwen3 final : public FamilyModel {
 public:
  static Result<std::unique_ptr<FamilyModel>> Read(const gguf::GgufFile& file,
                                                   std::string_view arch) {
    auto model = std::make_unique<Qwen3>();
    ConfigReader keys(file, std::string(arch));
    ModelConfig& c = model->config_;
    c = ReadCommonConfig(keys);
    c.kv_groups = OneKvGroup(c.num_layers);
    model->rope_spec_ = ReadRopeSpec(keys, c, RopeStyle::kHalves);
    model->scale_ = ReadAttentionScale(keys, 1.0 / std::sqrt(c.k_dim));
    LB_RETURN_IF_ERROR(keys.status());
    return std::unique_ptr<FamilyModel>(std::move(model));
  }

  Result<void> Load(const gguf::GgufFile& file, Ops& ops, const LoadProgress& progress) override {
    WeightLoader loader(file, ops, progress);
    vocabulary_ = LoadVocabulary(loader, config_);
    LB_ASSIGN_OR_RETURN(const std::vector<float> factors,
                        LoadRopeFactors(ops, loader, rope_spec_, config_.context_length));
    for (int l = 0; l < config_.num_layers; ++l) {
      Layer layer;
      layer.attn_norm = loader.LoadVector(LayerName(l, "attn_norm.weight"), config_.width);
      layer.attn = LoadAttention(loader, config_, l, true);
      layer.ffn_norm = loader.LoadVector(LayerName(l, "ffn_norm.weight"), config_.width);
      layer.mlp = LoadGatedMlp(loader, config_, l);
      layers_.push_back(std::move(layer));
    }
    LB_RETURN_IF_ERROR(loader.Finish());
    matrices_ = loader.TakeMatrices();
    LB_ASSIGN_OR_RETURN(rope_, Rope::Create(ops, rope_spec_, factors));
    return {};
  }

  void Forward(Ops& ops, const ForwardBatch& batch, KvLayers kv, Arena& arena,
               const ForwardOutput& out) const override {
    Pass pass(ops, batch, kv, arena, *this);
    EmbedTokens(pass, vocabulary_, 1.0f);
    for (int l = 0; l < config_.num_layers; ++l) {
      const Layer& w = layers_[l];
      const bool last = l + 1 == config_.num_layers;
      {
        const Arena::Mark mark(arena);
        RmsNorm(ops, w.attn_norm, config_.rms_eps, pass.x, pass.h);
        const AttentionSpec spec = MakeAttentionSpec(config_, l, scale_, rope_.table());
        TensorView heads = Attend(pass, w.attn, spec, l, last);
        if (heads.empty()) return;
        if (last) heads = pass.KeepOutputRows(heads);
        ProjectHeads(pass, w.attn, heads, pass.x, true);
      }
      const Arena::Mark mark(arena);
      RmsNorm(ops, w.ffn_norm, config_.rms_eps, pass.x, pass.h);
      GatedMlp(pass, w.mlp, Activation::kSilu, pass.x, true);
    }
    Outputs(pass, vocabulary_, config_.rms_eps, 0.0f, out);
  }

  size_t ArenaBytes(int tokens, int output_rows) const override {
    return Pass::ScratchBytes(tokens, config_.width) +
           std::max(AttentionScratchBytes(config_, tokens, output_rows),
                    MlpScratchBytes(config_, tokens));
  }

 private:
  RopeSpec rope_spec_;
  float scale_ = 0;
  Vocabulary vocabulary_;
  std::vector<Layer> layers_;
  Rope rope_;
};

}  // namespace

Result<std::unique_ptr<FamilyModel>> ReadQwen3(const gguf::GgufFile& file, std::string_view arch) {
  return Qwen3::Read(file, arch);
}

}  // namespace lb

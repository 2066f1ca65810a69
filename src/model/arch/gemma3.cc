// gemma3: text part of Gemma 3. Five sliding-window layers to each full one, with a rotation of
// their own; norms before and after each block (the file's weights already hold Gemma's + 1); q/k
// norms; embeddings times sqrt(width). gemma-embedding is the same read in both directions, its
// window half to each side, with dense layers behind pooling.

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "model/arch/arch.h"
#include "model/config.h"
#include "model/layers/attention.h"
#include "model/layers/embedding.h"
#include "model/layers/head.h"
#include "model/layers/mlp.h"
#include "model/layers/norm.h"
#include "model/layers/rope.h"
#include "model/weight_loader.h"

namespace lb {
namespace {

constexpr int kFullGroup = 0;
constexpr int kSlidingGroup = 1;
// The 27B model alone scales queries by width / heads instead of the head's size; files do not say.
constexpr int kLayersOf27B = 62;

struct Layer {
  Vector attn_norm, post_attn_norm;
  AttentionWeights attn;
  Vector ffn_norm, post_ffn_norm;
  MlpWeights mlp;
};

class Gemma3 final : public FamilyModel {
 public:
  static Result<std::unique_ptr<FamilyModel>> Read(const gguf::GgufFile& file,
                                                   std::string_view arch) {
    auto model = std::make_unique<Gemma3>();
    ConfigReader keys(file, std::string(arch));
    ModelConfig& c = model->config_;
    c = ReadCommonConfig(keys);
    if (keys.arch() == "gemma-embedding") {
      c.generates = false;
      if (!c.pooling) c.pooling = Pooling::kMean;
    }
    ReadPoolingHead(keys, &c);
    const int window = keys.Int("attention.sliding_window", 0, 1 << 30, 0);
    model->window_ = window;
    model->sliding_ = ReadSlidingLayers(keys, c.num_layers, window > 0);
    // A text that is read as a whole leaves nothing behind a window.
    const bool drops = window > 0 && c.generates;
    c.kv_groups.resize(drops ? 2 : 1);
    if (drops) c.kv_groups[kSlidingGroup].window = window;
    for (int l = 0; l < c.num_layers; ++l) {
      c.kv_groups[drops && model->sliding_[l] ? kSlidingGroup : kFullGroup].layers.push_back(l);
    }
    model->full_rope_spec_ = ReadRopeSpec(keys, c, RopeStyle::kHalves);
    RopeSpec& local = model->sliding_rope_spec_;
    local.dims = model->full_rope_spec_.dims;
    local.base = keys.Float("rope.freq_base_swa", 1.0 + 1e-6, 1e15, 10000.0);  // never stretched
    const double query_dim = c.num_layers == kLayersOf27B ? c.width / c.num_heads : c.k_dim;
    model->scale_ = ReadAttentionScale(keys, 1.0 / std::sqrt(query_dim));
    model->logit_cap_ = static_cast<float>(keys.Float("final_logit_softcapping", 0, 1e6, 0));
    LB_RETURN_IF_ERROR(keys.status());
    return std::unique_ptr<FamilyModel>(std::move(model));
  }

  Result<void> Load(const gguf::GgufFile& file, Ops& ops, const LoadProgress& progress) override {
    WeightLoader loader(file, ops, progress);
    vocabulary_ = LoadVocabulary(loader, config_);
    LB_ASSIGN_OR_RETURN(const std::vector<float> factors,
                        LoadRopeFactors(ops, loader, full_rope_spec_, config_.context_length));
    const int width = config_.width;
    for (int l = 0; l < config_.num_layers; ++l) {
      Layer layer;
      layer.attn_norm = loader.LoadVector(LayerName(l, "attn_norm.weight"), width);
      layer.attn = LoadAttention(loader, config_, l, true);
      layer.post_attn_norm = loader.LoadVector(LayerName(l, "post_attention_norm.weight"), width);
      layer.ffn_norm = loader.LoadVector(LayerName(l, "ffn_norm.weight"), width);
      layer.mlp = LoadGatedMlp(loader, config_, l);
      layer.post_ffn_norm = loader.LoadVector(LayerName(l, "post_ffw_norm.weight"), width);
      layers_.push_back(std::move(layer));
    }
    head_ = LoadPoolingHead(loader, config_);
    LB_RETURN_IF_ERROR(loader.Finish());
    matrices_ = loader.TakeMatrices();
    LB_ASSIGN_OR_RETURN(full_rope_, Rope::Create(ops, full_rope_spec_, factors));
    LB_ASSIGN_OR_RETURN(sliding_rope_, Rope::Create(ops, sliding_rope_spec_, {}));
    return {};
  }

  void Forward(Ops& ops, const ForwardBatch& batch, KvLayers kv, Arena& arena,
               const ForwardOutput& out) const override {
    const float eps = config_.rms_eps;
    Pass pass(ops, batch, kv, arena, *this);
    EmbedTokens(pass, vocabulary_, std::sqrt(static_cast<float>(config_.width)));
    for (int l = 0; l < config_.num_layers; ++l) {
      const Layer& w = layers_[l];
      const bool last = l + 1 == config_.num_layers;
      {
        const Arena::Mark mark(arena);
        RmsNorm(ops, w.attn_norm, eps, pass.x, pass.h);
        TensorView heads = Attend(pass, w.attn, Spec(l), l, last);
        if (heads.empty()) return;
        if (last) heads = pass.KeepOutputRows(heads);
        ProjectHeads(pass, w.attn, heads, pass.h, false);
        RmsNorm(ops, w.post_attn_norm, eps, pass.h, pass.h);
        ops.Add(pass.h, pass.x);
      }
      const Arena::Mark mark(arena);
      RmsNorm(ops, w.ffn_norm, eps, pass.x, pass.h);
      GatedMlp(pass, w.mlp, Activation::kGeluTanh, pass.h, false);
      RmsNorm(ops, w.post_ffn_norm, eps, pass.h, pass.h);
      ops.Add(pass.h, pass.x);
    }
    Outputs(pass, vocabulary_, eps, logit_cap_, out);
  }

  size_t ArenaBytes(int tokens, int output_rows) const override {
    const size_t pass = Pass::ScratchBytes(tokens, config_.width) +
                        std::max(AttentionScratchBytes(config_, tokens, output_rows),
                                 MlpScratchBytes(config_, tokens));
    return std::max(pass, HeadScratchBytes(head_, output_rows));
  }

  void Head(Ops& ops, Pooling pooling, const TensorView& pooled, Arena& arena,
            const TensorView& out) const override {
    RunHead(ops, head_, pooling, pooled, arena, out);
  }

 private:
  // Key attention.sliding_window_pattern: a period n (each n-th layer is full) or one flag a layer.
  static std::vector<bool> ReadSlidingLayers(ConfigReader& keys, int num_layers, bool windowed) {
    std::vector<bool> sliding(num_layers, false);
    if (!windowed) return sliding;
    const gguf::Value* pattern =
        keys.file().metadata().Find(keys.Key("attention.sliding_window_pattern"));
    if (pattern != nullptr && pattern->type == gguf::ValueType::kArray) {
      const auto flags = keys.PerLayer("attention.sliding_window_pattern", num_layers, 0, 1);
      for (int l = 0; l < num_layers; ++l) sliding[l] = flags[l] != 0;
      return sliding;
    }
    const int period = keys.Int("attention.sliding_window_pattern", 1, 1 << 20, 6);
    for (int l = 0; l < num_layers; ++l) sliding[l] = (l + 1) % period != 0;
    return sliding;
  }

  AttentionSpec Spec(int layer) const {
    const bool sliding = sliding_[layer];
    AttentionSpec spec =
        MakeAttentionSpec(config_, layer, scale_, (sliding ? sliding_rope_ : full_rope_).table());
    if (!sliding) return spec;
    if (config_.generates) {
      spec.kv_group = kSlidingGroup;
      spec.params.window = window_;
    } else {
      spec.params.window = window_ / 2 + 1;
      spec.params.ahead = window_ / 2;
    }
    return spec;
  }

  std::vector<bool> sliding_;  // [num_layers]
  int window_ = 0;             // 0: none
  RopeSpec full_rope_spec_, sliding_rope_spec_;
  float scale_ = 0;
  float logit_cap_ = 0;
  Vocabulary vocabulary_;
  std::vector<Layer> layers_;
  PoolingHead head_;
  Rope full_rope_, sliding_rope_;
};

}  // namespace

Result<std::unique_ptr<FamilyModel>> ReadGemma3(const gguf::GgufFile& file, std::string_view arch) {
  return Gemma3::Read(file, arch);
}

}  // namespace lb

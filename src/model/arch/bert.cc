// bert and nomic-bert: encoders, which read a text as a whole and make vectors of it. A norm comes
// after each block. bert adds a table of positions and has biases (BERT, MiniLM, BGE, XLM-R);
// nomic-bert rotates, and its feed-forward block is gated.

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "model/arch/arch.h"
#include "model/config.h"
#include "model/layers/attention.h"
#include "model/layers/head.h"
#include "model/layers/mlp.h"
#include "model/layers/norm.h"
#include "model/layers/rope.h"
#include "model/weight_loader.h"

namespace lb {
namespace {

constexpr char kPositions[] = "position_embd.weight";
constexpr char kTypes[] = "token_types.weight";

struct Layer {
  AttentionWeights attn;
  LayerNormWeights attn_norm;
  MlpWeights mlp;  // without a gate in bert
  LayerNormWeights mlp_norm;
};

class Bert final : public FamilyModel {
 public:
  static Result<std::unique_ptr<FamilyModel>> Read(const gguf::GgufFile& file,
                                                   std::string_view arch) {
    auto model = std::make_unique<Bert>();
    ConfigReader keys(file, std::string(arch));
    ModelConfig& c = model->config_;
    c = ReadCommonConfig(keys, "attention.layer_norm_epsilon");
    c.generates = false;
    c.kv_groups = OneKvGroup(c.num_layers);
    if (!c.pooling) c.pooling = Pooling::kMean;
    ReadPoolingHead(keys, &c);
    model->rotates_ = keys.arch() == "nomic-bert";
    if (model->rotates_) {
      model->rope_spec_ = ReadRopeSpec(keys, c, RopeStyle::kHalves);
    } else if (const gguf::Tensor* table = file.FindTensor(kPositions)) {
      // Never a token beyond the table, whatever the key says.
      model->num_positions_ = table->view.rows();
      c.context_length =
          static_cast<int>(std::min<int64_t>(c.context_length, model->num_positions_));
    }
    model->scale_ = ReadAttentionScale(keys, 1.0 / std::sqrt(c.k_dim));
    LB_RETURN_IF_ERROR(keys.status());
    return std::unique_ptr<FamilyModel>(std::move(model));
  }

  Result<void> Load(const gguf::GgufFile& file, Ops& ops, const LoadProgress& progress) override {
    WeightLoader loader(file, ops, progress);
    const int width = config_.width;
    tokens_ = loader.LoadTable("token_embd.weight", config_.vocab_size, width);
    if (!rotates_) positions_ = loader.LoadTable(kPositions, num_positions_, width);
    if (loader.Has(kTypes)) types_ = loader.LoadTable(kTypes, loader.RowsOf(kTypes), width);
    embedding_norm_ = LoadLayerNorm(loader, "token_embd_norm", width);
    for (int l = 0; l < config_.num_layers; ++l) {
      Layer layer;
      layer.attn = LoadAttention(loader, config_, l, false);
      layer.attn_norm = LoadLayerNorm(loader, LayerName(l, "attn_output_norm"), width);
      layer.mlp = rotates_ ? LoadGatedMlp(loader, config_, l) : LoadPlainMlp(loader, config_, l);
      layer.mlp_norm = LoadLayerNorm(loader, LayerName(l, "layer_output_norm"), width);
      layers_.push_back(std::move(layer));
    }
    head_ = LoadPoolingHead(loader, config_);
    LB_RETURN_IF_ERROR(loader.Finish());
    matrices_ = loader.TakeMatrices();
    if (!rotates_) return {};
    LB_ASSIGN_OR_RETURN(rope_, Rope::Create(ops, rope_spec_, {}));
    return {};
  }

  void Forward(Ops& ops, const ForwardBatch& batch, KvLayers kv, Arena& arena,
               const ForwardOutput& out) const override {
    CHECK(batch.logit_rows.empty());
    const float eps = config_.rms_eps;
    Pass pass(ops, batch, kv, arena, *this);
    EmbedTokens(pass);
    // x is what a block reads, too.
    const TensorView spare = pass.h;
    pass.h = pass.x;
    for (int l = 0; l < config_.num_layers; ++l) {
      const Layer& w = layers_[l];
      const bool last = l + 1 == config_.num_layers;
      {
        const Arena::Mark mark(arena);
        AttentionSpec spec = MakeAttentionSpec(config_, l, scale_, rope_.table());
        if (!rotates_) spec.rope = nullptr;
        TensorView heads = Attend(pass, w.attn, spec, l, last);
        if (heads.empty()) return;
        if (last) {
          pass.h = spare;
          heads = pass.KeepOutputRows(heads);
          pass.h = pass.x;
        }
        ProjectHeads(pass, w.attn, heads, pass.x, true);
        LayerNorm(ops, w.attn_norm, eps, pass.x, pass.x);
      }
      const Arena::Mark mark(arena);
      if (rotates_) {
        GatedMlp(pass, w.mlp, Activation::kSilu, pass.x, true);
      } else {
        PlainMlp(pass, w.mlp, Activation::kGelu, pass.x, true);
      }
      LayerNorm(ops, w.mlp_norm, eps, pass.x, last ? out.hidden : pass.x);
    }
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
  void EmbedTokens(Pass& pass) const {
    pass.Embed(*tokens_, 1.0f);
    if (types_ != nullptr) {
      // One text: all of it is of the first type.
      const std::vector<int32_t> first(pass.batch.token_ids.size(), 0);
      pass.ops.Embed(*types_, first, 1.0f, pass.h);
      pass.ops.Add(pass.h, pass.x);
    }
    if (positions_ != nullptr) {
      pass.ops.Embed(*positions_, pass.batch.sequences.positions, 1.0f, pass.h);
      pass.ops.Add(pass.h, pass.x);
    }
    LayerNorm(pass.ops, embedding_norm_, config_.rms_eps, pass.x, pass.x);
  }

  bool rotates_ = false;
  int64_t num_positions_ = 0;
  RopeSpec rope_spec_;
  float scale_ = 0;
  std::unique_ptr<Matrix> tokens_, positions_, types_;
  LayerNormWeights embedding_norm_;
  std::vector<Layer> layers_;
  PoolingHead head_;
  Rope rope_;
};

}  // namespace

Result<std::unique_ptr<FamilyModel>> ReadBert(const gguf::GgufFile& file, std::string_view arch) {
  return Bert::Read(file, arch);
}

}  // namespace lb

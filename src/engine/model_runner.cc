#include "engine/model_runner.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "kv/types.h"
#include "model/adapter.h"

namespace lb {
namespace {

static_assert(kKvBlockTokens == kv::kBlockTokens, "kernels and cache agree on the block");

constexpr double kMiB = 1024.0 * 1024.0;

// Of a step in which every sequence decodes one token: all that its operations depend on but for what its arrays hold. Two steps of
// one shape are the same operations.
struct DecodeShape {
  const int32_t *ids = nullptr, *positions = nullptr, *query_start = nullptr, *context_len = nullptr, *logit_rows = nullptr;
  size_t tokens = 0;  // and sequences
  int best = 0;
  bool chooses = false;  // the best as well
  std::vector<std::tuple<const int32_t*, const int32_t*, int>> kv;  // slots, table, its width
  bool operator==(const DecodeShape&) const = default;

  // False: the step is another kind.
  bool Take(const ForwardBatch& batch) {
    const SequenceBatch& s = batch.sequences;
    tokens = batch.token_ids.size();
    if (s.context_len.size() != tokens || batch.logit_rows.size() != tokens || !batch.hidden_rows.empty() || !batch.adapters.empty()) {
      return false;
    }
    ids = batch.token_ids.data(), positions = s.positions.data(), query_start = s.query_start.data();
    context_len = s.context_len.data(), logit_rows = batch.logit_rows.data();
    best = batch.best;
    chooses = best > 0 && !batch.masked;
    kv.clear();
    for (const KvBatch& group : batch.kv) kv.emplace_back(group.slots.data(), group.block_table.data(), group.max_blocks);
    return true;
  }
};

// What a block of each group is made of: the K, then the V of every layer, whose rows of a block are neighbours in memory. In a slot
// of the host tier, which has `slot_bytes`, the groups stand one behind the other.
struct BlockLayout {
  std::vector<std::vector<KvBlockPart>> parts;  // of each group
  int64_t slot_bytes = 0;
};
BlockLayout LayoutOfBlocks(const ModelConfig& model, std::span<const KvLayer> layers) {
  BlockLayout layout;
  for (const KvGroup& group : model.kv_groups) {
    auto& of_group = layout.parts.emplace_back();
    for (int l : group.layers) {
      const KvLayer& layer = layers[static_cast<size_t>(l)];
      const int64_t rows = int64_t{layer.num_kv_heads} * kKvBlockTokens;
      for (const auto& [pool, row_bytes] : {std::pair{layer.k, RowBytes(layer.k_dtype, layer.k_dim)},
                                            std::pair{layer.v, RowBytes(layer.v_dtype, layer.v_dim)}}) {
        of_group.push_back({pool, rows * row_bytes, layout.slot_bytes});
        layout.slot_bytes += rows * row_bytes;
      }
    }
  }
  return layout;
}

class PagedModelRunner final : public ModelRunner {
 public:
  PagedModelRunner(const Model& model, Ops& ops, std::vector<DeviceMemory> kv_memory,
                   std::vector<KvLayer> layers, BlockLayout blocks, DeviceMemory host, std::unique_ptr<Arena> arena,
                   DeviceMemory logits, DeviceMemory hidden, const RunnerConfig& config)
      : model_(model),
        ops_(ops),
        kv_memory_(std::move(kv_memory)),
        layers_(std::move(layers)),
        host_(std::move(host)),
        tier_{host_.get(), blocks.slot_bytes},
        parts_(std::move(blocks.parts)),
        arena_(std::move(arena)),
        logits_(std::move(logits)),
        hidden_(std::move(hidden)),
        most_logits_(static_cast<size_t>(config.max_logit_rows) *
                     static_cast<size_t>(model.config().vocab_size)),
        host_hidden_(static_cast<size_t>(config.max_hidden_rows) *
                     static_cast<size_t>(model.config().width)) {}

  int vocab_size() const override { return model_.config().vocab_size; }

  bool runs_apart() const override { return ops_.runs_apart(); }
  // What is chosen under masks is a part of its own: all before it is the same from step to step, and begins without them.
  void Start(const ForwardBatch& batch) override {
    const bool decodes = shape_.Take(batch);
    if (!decodes || shape_ != last_shape_ || !ops_.Repeat(last_started_)) {
      arena_->Reset();
      model_.Forward(ops_, batch, layers_, *arena_, {LogitsOf(batch), HiddenOf(batch)});
      if (!batch.masked) Choose(batch);
    }
    last_shape_ = decodes ? shape_ : DecodeShape{};
    ops_.Start();
    last_started_ = ops_.last_started();
    started_ = true;
  }

  // Only a step that comes again as it was can be queued without the host's doing anything more for it.
  bool StartNext(const ForwardBatch& next) override {
    const bool same = shape_.Take(next) && shape_ == last_shape_ && shape_.chooses;
    if (!same || !ops_.RepeatAhead(last_started_, next.token_ids)) return false;
    last_started_ = ops_.last_started();
    next_started_ = true;
    return true;
  }
  void Release() override { ops_.Release(); }

  Result<std::span<const float>> Run(const ForwardBatch& batch) override {
    if (!started_) Start(batch);
    started_ = std::exchange(next_started_, false);
    if (batch.masked) Choose(batch);
    LB_RETURN_IF_ERROR(ops_.Finish());
    const TensorView logits = LogitsOf(batch);
    const bool whole = batch.best == 0;
    const auto values = static_cast<size_t>(logits.num_elements());
    const size_t wanted = batch.logit_rows.size() * static_cast<size_t>(batch.best);
    best_.clear();
    for (size_t i = 0; i < wanted; ++i) best_.push_back({best_ids_[i], best_values_[i]});
    if (whole && values > 0) {
      if (host_logits_.size() < values) host_logits_.resize(values);
      ops_.CopyToHost(logits, host_logits_.data());
    }
    if (!batch.hidden_rows.empty()) ops_.CopyToHost(HiddenOf(batch), host_hidden_.data());
    return std::span<const float>(host_logits_).first(whole ? values : 0);
  }
  int most_best() const override { return ops_.most_top(); }
  int most_masks() const override { return ops_.most_masks(vocab_size()); }
  std::span<const TokenLogit> best() const override { return best_; }

  int width() const override { return model_.config().width; }
  std::span<const float> hidden() const override { return host_hidden_; }
  int vector_width(std::optional<Pooling> pooling) const override {
    if (!pooling) return 0;
    if (*pooling == Pooling::kNone) return width();
    return *pooling == Pooling::kRank ? model_.config().num_scores : model_.config().pooled_width;
  }
  bool has_head(Pooling pooling) const override {
    return pooling == Pooling::kRank || model_.config().has_dense;
  }
  Result<std::span<const float>> Head(Pooling pooling, std::span<const float> pooled,
                                      int count) override {
    CHECK_LE(pooled.size(), host_hidden_.size());
    arena_->Reset();
    const TensorView in(hidden_.get(), DType::kF32, {count, width()});
    ops_.CopyFromHost(pooled.data(), in);
    const TensorView out = arena_->Alloc({count, vector_width(pooling)});
    model_.Head(ops_, pooling, in, *arena_, out);
    LB_RETURN_IF_ERROR(ops_.Finish());
    head_.resize(static_cast<size_t>(out.num_elements()));
    ops_.CopyToHost(out, head_.data());
    return std::span<const float>(head_);
  }

  size_t BlockBytes(int group) const override {
    int64_t bytes = 0;
    for (const KvBlockPart& part : parts_[static_cast<size_t>(group)]) bytes += part.bytes;
    return static_cast<size_t>(bytes);
  }
  void ReadBlock(int group, int block, std::byte* out) override {
    for (const KvBlockPart& part : parts_[static_cast<size_t>(group)]) {
      ops_.CopyToHost(PartOf(part, block), out);
      out += part.bytes;
    }
  }
  void WriteBlock(int group, int block, const std::byte* in) override {
    for (const KvBlockPart& part : parts_[static_cast<size_t>(group)]) {
      ops_.CopyFromHost(in, PartOf(part, block));
      in += part.bytes;
    }
  }

  Result<void> Move(std::span<const kv::Transfer> transfers) override {
    while (!transfers.empty()) {
      const auto run = transfers.first(kv::IndependentTransfers(transfers));
      for (size_t g = 0; g < parts_.size(); ++g) {
        moves_.clear();
        for (const kv::Transfer& t : run) {
          if (t.blocks[g] != kv::kNoBlock) moves_.push_back({t.blocks[g].value, t.slot.value});
        }
        const bool to_host = run.front().kind == kv::Transfer::Kind::kSave;
        if (moves_.empty()) continue;
        LB_RETURN_IF_ERROR(ops_.MoveKvBlocks(parts_[g], tier_, moves_, to_host));
      }
      transfers = transfers.subspan(run.size());
    }
    return {};
  }

 private:
  TensorView LogitsOf(const ForwardBatch& batch) const {
    const auto rows = static_cast<int64_t>(batch.logit_rows.size());
    CHECK_LE(static_cast<size_t>(rows * vocab_size()), most_logits_);
    return TensorView(logits_.get(), DType::kF32, {rows, vocab_size()});
  }
  TensorView HiddenOf(const ForwardBatch& batch) const {
    const auto states = static_cast<int64_t>(batch.hidden_rows.size());
    CHECK_LE(states * width(), static_cast<int64_t>(host_hidden_.size()));
    return TensorView(hidden_.get(), DType::kF32, {states, width()});
  }
  void Choose(const ForwardBatch& batch) {
    const size_t wanted = batch.logit_rows.size() * static_cast<size_t>(batch.best);
    if (wanted == 0) return;
    best_values_.resize(wanted);
    best_ids_.resize(wanted);
    ops_.Top(LogitsOf(batch), batch.best, batch.masks, best_values_.data(), best_ids_.data());
  }
  static TensorView PartOf(const KvBlockPart& part, int block) {
    constexpr int64_t kWord = sizeof(int32_t);  // whatever they are, they are copied
    return TensorView(static_cast<char*>(part.pool) + block * part.bytes, DType::kI32, {part.bytes / kWord});
  }

  const Model& model_;
  Ops& ops_;
  std::vector<DeviceMemory> kv_memory_;  // two per layer: K, V
  std::vector<KvLayer> layers_;
  DeviceMemory host_;  // of the tier: its slots
  KvHostTier tier_;
  std::vector<std::vector<KvBlockPart>> parts_;  // of each group
  std::vector<KvBlockMove> moves_;
  std::unique_ptr<Arena> arena_;
  DeviceMemory logits_;
  DeviceMemory hidden_;
  const size_t most_logits_;
  std::vector<float> host_logits_, host_hidden_, head_;
  std::vector<float> best_values_;
  std::vector<int32_t> best_ids_;
  std::vector<TokenLogit> best_;
  DecodeShape shape_, last_shape_;  // of this step; of the one before, when it was one
  int64_t last_started_ = 0;
  bool started_ = false;       // the next batch of Run
  bool next_started_ = false;  // the one after it
};

Result<DeviceMemory> TakeHostTier(Ops& ops, int64_t slot_bytes, int slots) {
  if (slots == 0) return DeviceMemory(nullptr, nullptr);
  auto memory = ops.AllocateHost(static_cast<size_t>(slots * slot_bytes));
  if (memory.has_value()) return memory;
  return Fail(ErrorCode::kOutOfMemory, "the KV cache's tier on the host, {} blocks of {} bytes, cannot be had: {}; lower --kv-host-memory",
              slots, slot_bytes, memory.error().message);
}

Result<DeviceMemory> Take(Ops& ops, size_t bytes, std::string_view what) {
  auto memory = ops.Allocate(bytes);
  if (memory.has_value()) return memory;
  return Fail(ErrorCode::kOutOfMemory, "no {:.1f} MiB for {}: {}",
              static_cast<double>(bytes) / kMiB, what, memory.error().message);
}

}  // namespace

Result<std::unique_ptr<ModelRunner>> MakeModelRunner(const Model& model, Ops& ops,
                                                     const RunnerConfig& config) {
  const ModelConfig& m = model.config();
  CHECK_EQ(config.group_blocks.size(), m.kv_groups.size());
  std::vector<DeviceMemory> memory;
  std::vector<KvLayer> layers(static_cast<size_t>(m.num_layers));
  for (size_t g = 0; g < m.kv_groups.size(); ++g) {
    for (int l : m.kv_groups[g].layers) {
      KvLayer& layer = layers[static_cast<size_t>(l)];
      layer.k_dtype = config.k_dtype;
      layer.v_dtype = config.v_dtype;
      layer.num_kv_heads = m.num_kv_heads[static_cast<size_t>(l)];
      layer.k_dim = m.k_dim;
      layer.v_dim = m.v_dim;
      if (config.scratch_kv && !memory.empty()) {
        CHECK_EQ(layer.num_kv_heads, layers[0].num_kv_heads);
        layer = layers[0];
        continue;
      }
      layer.num_blocks = config.group_blocks[g];
      const int64_t rows = layer.num_blocks * layer.num_kv_heads * kKvBlockTokens;
      const auto k_bytes = static_cast<size_t>(rows * RowBytes(layer.k_dtype, layer.k_dim));
      const auto v_bytes = static_cast<size_t>(rows * RowBytes(layer.v_dtype, layer.v_dim));
      const OfLayer of_layer(ops, config.scratch_kv ? -1 : l);
      LB_ASSIGN_OR_RETURN(DeviceMemory k, Take(ops, k_bytes, "the keys of a layer"));
      layer.k = k.get();
      memory.push_back(std::move(k));
      LB_ASSIGN_OR_RETURN(DeviceMemory v, Take(ops, v_bytes, "the values of a layer"));
      layer.v = v.get();
      memory.push_back(std::move(v));
    }
  }
  BlockLayout blocks = LayoutOfBlocks(m, layers);
  LB_ASSIGN_OR_RETURN(DeviceMemory host, TakeHostTier(ops, blocks.slot_bytes, config.host_slots));
  const int output_rows =
      std::min(config.max_batch_tokens, config.max_logit_rows + config.max_hidden_rows);
  const size_t arena_bytes = model.ArenaBytes(config.max_batch_tokens, output_rows) +
                             AdapterScratchBytes(model, config.max_batch_tokens);
  LB_ASSIGN_OR_RETURN(DeviceMemory scratch, Take(ops, arena_bytes, "activations"));
  auto arena = std::make_unique<Arena>(std::move(scratch), arena_bytes);
  const size_t logit_bytes = sizeof(float) * static_cast<size_t>(config.max_logit_rows) *
                             static_cast<size_t>(m.vocab_size);
  LB_ASSIGN_OR_RETURN(DeviceMemory logits, Take(ops, logit_bytes, "logits"));
  const size_t hidden_bytes = sizeof(float) * static_cast<size_t>(config.max_hidden_rows) *
                              static_cast<size_t>(m.width);
  DeviceMemory hidden{nullptr, nullptr};
  if (hidden_bytes > 0) {
    LB_ASSIGN_OR_RETURN(hidden, Take(ops, hidden_bytes, "hidden states"));
  }
  return std::unique_ptr<ModelRunner>(std::make_unique<PagedModelRunner>(
      model, ops, std::move(memory), std::move(layers), std::move(blocks), std::move(host), std::move(arena),
      std::move(logits), std::move(hidden), config));
}

}  // namespace lb

#include "model/solo_runner.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

#include "model/adapter.h"

namespace lb {

Result<std::unique_ptr<SoloRunner>> SoloRunner::Create(const Model& model, Ops& ops,
                                                       const SoloOptions& options) {
  if (!model.config().generates) {
    return Fail(ErrorCode::kUnsupported, "{} ({}) makes vectors of texts and has no logits",
                model.config().name, model.config().arch);
  }
  std::unique_ptr<SoloRunner> runner(new SoloRunner(model, ops, options));
  LB_RETURN_IF_ERROR(runner->AllocateAll());
  return runner;
}

Result<void> SoloRunner::AllocateAll() {
  const ModelConfig& config = model_.config();
  blocks_per_sequence_ = (options_.max_context + kKvBlockTokens - 1) / kKvBlockTokens;
  const int num_blocks = blocks_per_sequence_ * options_.num_sequences;
  length_.assign(options_.num_sequences, 0);

  std::vector<int32_t> order(num_blocks);
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(options_.shuffle_seed);
  for (size_t g = 0; g < config.kv_groups.size(); ++g) {
    if (options_.shuffle_seed != 0) std::shuffle(order.begin(), order.end(), random);
    all_blocks_.push_back(order);
  }
  block_table_ = all_blocks_;

  for (int l = 0; l < config.num_layers; ++l) {
    KvLayer layer;
    layer.k_dtype = options_.k_dtype;
    layer.v_dtype = options_.v_dtype;
    layer.num_kv_heads = config.num_kv_heads[l];
    layer.k_dim = config.k_dim;
    layer.v_dim = config.v_dim;
    layer.num_blocks = num_blocks;
    for (const auto& [dtype, dim] : {std::pair{layer.k_dtype, layer.k_dim}, {layer.v_dtype, layer.v_dim}}) {
      const DTypeInfo& info = Info(dtype);
      if (dim % info.block_size == 0) continue;
      return Fail(ErrorCode::kUnsupported, "KV type {} needs heads in multiples of {}, not {}", info.name, info.block_size, dim);
    }
    const int64_t rows = int64_t{num_blocks} * layer.num_kv_heads * kKvBlockTokens;
    const OfLayer of_layer(ops_, l);
    LB_ASSIGN_OR_RETURN(DeviceMemory k, ops_.Allocate(rows * RowBytes(layer.k_dtype, layer.k_dim)));
    LB_ASSIGN_OR_RETURN(DeviceMemory v, ops_.Allocate(rows * RowBytes(layer.v_dtype, layer.v_dim)));
    layer.k = k.get();
    layer.v = v.get();
    kv_memory_.push_back(std::move(k));
    kv_memory_.push_back(std::move(v));
    kv_layers_.push_back(layer);
  }

  const size_t arena_bytes =
      model_.ArenaBytes(options_.max_batch_tokens, options_.max_logit_rows) +
      AdapterScratchBytes(model_, options_.max_batch_tokens);
  LB_ASSIGN_OR_RETURN(DeviceMemory scratch, ops_.Allocate(arena_bytes));
  arena_ = std::make_unique<Arena>(std::move(scratch), arena_bytes);
  LB_ASSIGN_OR_RETURN(logits_memory_, ops_.Allocate(int64_t{options_.max_logit_rows} *
                                                    config.vocab_size * sizeof(float)));
  return {};
}

Result<std::span<const float>> SoloRunner::Run(std::span<const SoloPiece> pieces) {
  const int vocab = model_.config().vocab_size;
  const size_t num_groups = block_table_.size();
  std::vector<int32_t> token_ids, positions, logit_rows, query_start = {0}, context_len;
  std::vector<std::vector<int32_t>> slots(num_groups), tables(num_groups);
  std::vector<AdapterRun> adapters;
  for (const SoloPiece& piece : pieces) {
    const int first = static_cast<int>(token_ids.size());
    const int start = length_[piece.sequence];
    const int end = start + static_cast<int>(piece.tokens.size());
    if (end > options_.max_context) {
      return Fail(ErrorCode::kInvalidArgument, "sequence of {} tokens; allowed: up to {}", end,
                  options_.max_context);
    }
    for (int32_t row : piece.logit_rows) {
      logit_rows.push_back(static_cast<int32_t>(token_ids.size()) + row);
    }
    for (int32_t id : piece.tokens) {
      if (id < 0 || id >= vocab) {
        return Fail(ErrorCode::kInvalidArgument, "token id {}; allowed: 0 to {}", id, vocab - 1);
      }
      token_ids.push_back(id);
    }
    for (int p = start; p < end; ++p) positions.push_back(p);
    query_start.push_back(static_cast<int32_t>(token_ids.size()));
    if (!piece.adapters.empty()) {
      adapters.push_back({first, static_cast<int>(token_ids.size()), piece.adapters});
    }
    context_len.push_back(end);
    for (size_t g = 0; g < num_groups; ++g) {
      const auto table = block_table_[g].begin() + piece.sequence * blocks_per_sequence_;
      tables[g].insert(tables[g].end(), table, table + blocks_per_sequence_);
      for (int p = start; p < end; ++p) {
        slots[g].push_back(table[p / kKvBlockTokens] * kKvBlockTokens + p % kKvBlockTokens);
      }
    }
  }
  if (static_cast<int>(token_ids.size()) > options_.max_batch_tokens ||
      static_cast<int>(logit_rows.size()) > options_.max_logit_rows) {
    return Fail(ErrorCode::kInvalidArgument, "batch of {} tokens, {} logits; allowed: {} and {}",
                token_ids.size(), logit_rows.size(), options_.max_batch_tokens,
                options_.max_logit_rows);
  }
  std::vector<KvBatch> kv;
  for (size_t g = 0; g < num_groups; ++g) {
    kv.push_back({slots[g], tables[g], blocks_per_sequence_});
  }
  const ForwardBatch batch{token_ids, {positions, query_start, context_len}, kv, logit_rows, {}, 0, adapters};
  const TensorView logits(logits_memory_.get(), DType::kF32,
                          {static_cast<int64_t>(logit_rows.size()), vocab});
  model_.Forward(ops_, batch, kv_layers_, *arena_, {logits, {}});
  LB_RETURN_IF_ERROR(ops_.Finish());

  for (const SoloPiece& piece : pieces) {
    length_[piece.sequence] += static_cast<int>(piece.tokens.size());
    if (!options_.drop_behind_window) continue;
    for (size_t g = 0; g < num_groups; ++g) DropBehindWindow(static_cast<int>(g), piece.sequence);
  }
  logits_.resize(logit_rows.size() * vocab);
  if (!logits_.empty()) ops_.CopyToHost(logits, logits_.data());
  return std::span<const float>(logits_);
}

Result<std::span<const float>> SoloRunner::Run(std::span<const int32_t> tokens) {
  const int32_t last = static_cast<int32_t>(tokens.size()) - 1;
  const SoloPiece piece{0, tokens, std::span(&last, 1)};
  return Run(std::span(&piece, 1));
}

void SoloRunner::DropBehindWindow(int group, int sequence) {
  const KvGroup& kv_group = model_.config().kv_groups[group];
  if (kv_group.window == 0) return;
  // The next token, at position length, sees positions from length - window + 1 on.
  const int first_seen = length_[sequence] - kv_group.window + 1;
  for (int b = 0; (b + 1) * kKvBlockTokens <= first_seen; ++b) {
    int32_t& entry = block_table_[group][sequence * blocks_per_sequence_ + b];
    if (entry < 0) continue;
    for (int l : kv_group.layers) {
      const KvLayer& layer = kv_layers_[l];
      const int64_t rows = int64_t{layer.num_kv_heads} * kKvBlockTokens;
      const int64_t k_bytes = rows * RowBytes(layer.k_dtype, layer.k_dim);
      const int64_t v_bytes = rows * RowBytes(layer.v_dtype, layer.v_dim);
      const std::vector<uint8_t> nan(std::max(k_bytes, v_bytes), 0xff);
      ops_.CopyFromHost(nan.data(), TensorView(static_cast<char*>(layer.k) + entry * k_bytes,
                                               layer.k_dtype, {rows, layer.k_dim}));
      ops_.CopyFromHost(nan.data(), TensorView(static_cast<char*>(layer.v) + entry * v_bytes,
                                               layer.v_dtype, {rows, layer.v_dim}));
    }
    entry = -1;
  }
}

void SoloRunner::Reset(int sequence) {
  length_[sequence] = 0;
  for (size_t g = 0; g < block_table_.size(); ++g) {
    const auto first = all_blocks_[g].begin() + sequence * blocks_per_sequence_;
    std::copy(first, first + blocks_per_sequence_,
              block_table_[g].begin() + sequence * blocks_per_sequence_);
  }
}

}  // namespace lb

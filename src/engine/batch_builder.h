// BatchBuilder: tokens of sequences and their block tables -> the arrays of a ForwardBatch.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/model_runner.h"
#include "engine/scheduler.h"
#include "kernels/cpu/thread_pool.h"
#include "kv/sequence_kv.h"
#include "model/adapter_use.h"
#include "model/forward_batch.h"

namespace lb {

// What one sequence computes in a step. Room for it is reserved.
struct BatchItem {
  const kv::SequenceKv* kv = nullptr;
  int64_t first = 0;                 // position of the first token
  std::span<const TokenId> tokens;   // at least one
  std::span<const TokenId> guesses;  // after them; only with wants_logits
  bool wants_logits = false;         // of the last of `tokens`, and of every guess
  std::span<const AdapterUse> adapters = {};
  int64_t text_tokens = 0;           // > 0: of a text of this length whose vector is wanted
};

// Owns the arrays, so that a step allocates nothing once they have grown. Engine thread only, but for guides, which it asks on a few
// threads at once when a step has several.
class BatchBuilder {
 public:
  // `pooling` and `causal`: which states of a text are needed for its vector.
  BatchBuilder(int num_groups, std::optional<Pooling> pooling, bool causal)
      : pooling_(pooling), causal_(causal), groups_(static_cast<size_t>(num_groups)) {}

  // Valid until the next call. Rows of logits and hidden states come in the order of the items and
  // their tokens.
  const ForwardBatch& Build(std::span<const BatchItem> items);
  // When all who choose a token can do so among the best logits that `runner` can give, it is asked for those.
  const ForwardBatch& Build(const ScheduledBatch& scheduled, const ModelRunner& runner);
  // When every sequence of what was built decodes one token: moves on to their next ones, as they are when this pass is done. Room for
  // them is reserved. The arrays stay where they are; SetToken says which token that of a row is. False: they do not fit.
  bool Advance();
  void SetToken(size_t row, TokenId token) { token_ids_[row] = token; }
  const ForwardBatch& built() const { return batch_; }
  // The masks of what was built, if it has any: each guide says which tokens may be next, once. Where whole rows are wanted, whoever
  // chooses from one asks.
  void AddMasks(const ScheduledBatch& scheduled, int64_t vocab_size);

 private:
  struct Group {
    std::vector<int32_t> slots;
    std::vector<int32_t> block_table;
  };
  void AddTokens(const BatchItem& item);
  void AskGuides(const ScheduledBatch& scheduled);
  // Slots and tables of all groups, `max_blocks` to a row.
  void FillBlocks(std::span<const BatchItem> items, int max_blocks);
  void AddBlocks(const BatchItem& item, size_t row, int g, int max_blocks);

  const std::optional<Pooling> pooling_;
  const bool causal_;
  std::vector<int32_t> token_ids_, positions_, query_start_, context_len_, logit_rows_,
      hidden_rows_, mask_rows_;
  std::vector<uint32_t> mask_bits_;
  std::vector<std::span<const uint32_t>> allowed_;  // by item
  std::unique_ptr<ThreadPool> mask_threads_;        // from the first step with several guides on
  std::vector<BatchItem> items_;
  std::vector<AdapterRun> adapters_;
  std::vector<Group> groups_;
  std::vector<KvBatch> kv_;
  ForwardBatch batch_;
};

// Whether this item's last token is the sequence's last: its logits choose the next one.
inline bool CatchesUp(const ScheduledBatch::Item& item) {
  return item.num_tokens == item.sequence->num_missing();
}

}  // namespace lb

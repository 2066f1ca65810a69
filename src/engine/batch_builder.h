// BatchBuilder: a ScheduledBatch and the block tables -> the arrays of a ForwardBatch.
#pragma once

#include <optional>
#include <vector>

#include "engine/scheduler.h"
#include "model/forward_batch.h"

namespace lb {

// Owns the arrays, so that a step allocates nothing once they have grown. Engine thread only.
class BatchBuilder {
 public:
  // `pooling` and `causal`: which states of a text are needed for its vector.
  BatchBuilder(int num_groups, std::optional<Pooling> pooling, bool causal)
      : pooling_(pooling), causal_(causal), groups_(static_cast<size_t>(num_groups)) {}

  // Valid until the next call. Each item that catches up and wants an answer has a row of logits, and
  // one more after it for each of its guesses; in the order of the items. Hidden states come in the
  // order of the items and their tokens.
  const ForwardBatch& Build(const ScheduledBatch& scheduled);

 private:
  struct Group {
    std::vector<int32_t> slots;
    std::vector<int32_t> block_table;
  };
  const std::optional<Pooling> pooling_;
  const bool causal_;
  std::vector<int32_t> token_ids_, positions_, query_start_, context_len_, logit_rows_,
      hidden_rows_;
  std::vector<Group> groups_;
  std::vector<KvBatch> kv_;
  ForwardBatch batch_;
};

// Whether this item's last token is the sequence's last: its logits choose the next one.
inline bool CatchesUp(const ScheduledBatch::Item& item) {
  return item.num_tokens == item.sequence->num_missing();
}

}  // namespace lb

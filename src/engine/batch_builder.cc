#include "engine/batch_builder.h"

#include <algorithm>

namespace lb {

const ForwardBatch& BatchBuilder::Build(const ScheduledBatch& scheduled) {
  token_ids_.clear();
  positions_.clear();
  context_len_.clear();
  logit_rows_.clear();
  hidden_rows_.clear();
  query_start_.assign(1, 0);
  int max_blocks = 0;
  for (const ScheduledBatch::Item& item : scheduled.items) {
    const Sequence& s = *item.sequence;
    const auto first = static_cast<int32_t>(s.num_computed());
    for (int32_t p = first; p < first + item.num_tokens; ++p) {
      if (s.request.embed && Pooler::Needs(*pooling_, causal_, p, s.num_tokens())) {
        hidden_rows_.push_back(static_cast<int32_t>(token_ids_.size()));
      }
      token_ids_.push_back(s.tokens[static_cast<size_t>(p)]);
      positions_.push_back(p);
    }
    if (CatchesUp(item) && !s.request.embed) {
      logit_rows_.push_back(static_cast<int32_t>(token_ids_.size()) - 1);
    }
    for (int i = 0; i < item.num_drafted; ++i) {
      logit_rows_.push_back(static_cast<int32_t>(token_ids_.size()));
      token_ids_.push_back(s.draft[static_cast<size_t>(i)]);
      positions_.push_back(first + item.num_tokens + i);
    }
    context_len_.push_back(first + item.num_tokens + item.num_drafted);
    query_start_.push_back(static_cast<int32_t>(token_ids_.size()));
    max_blocks = std::max(max_blocks, static_cast<int>(kv::BlocksFor(context_len_.back())));
  }

  kv_.clear();
  for (size_t g = 0; g < groups_.size(); ++g) {
    Group& group = groups_[g];
    group.slots.clear();
    group.block_table.assign(scheduled.items.size() * static_cast<size_t>(max_blocks), -1);
    size_t row = 0;
    for (const ScheduledBatch::Item& item : scheduled.items) {
      const Sequence& s = *item.sequence;
      const kv::BlockTable& table = s.kv->table(static_cast<int>(g));
      const int64_t end = s.num_computed() + item.num_tokens + item.num_drafted;
      for (int64_t p = s.num_computed(); p < end; ++p) {
        const int32_t block = table[static_cast<int>(p / kKvBlockTokens)].value;
        CHECK_GE(block, 0);
        group.slots.push_back(block * kKvBlockTokens + static_cast<int32_t>(p % kKvBlockTokens));
      }
      const auto blocks = static_cast<size_t>(kv::BlocksFor(end));
      std::ranges::transform(table.blocks().first(blocks),
                             group.block_table.begin() +
                                 static_cast<std::ptrdiff_t>(row * static_cast<size_t>(max_blocks)),
                             [](kv::BlockId b) { return b.value; });
      ++row;
    }
    kv_.push_back({group.slots, group.block_table, max_blocks});
  }
  batch_ = {token_ids_, {positions_, query_start_, context_len_}, kv_, logit_rows_, hidden_rows_};
  return batch_;
}

}  // namespace lb

#include "engine/batch_builder.h"

#include <algorithm>
#include <thread>

namespace lb {
namespace {

constexpr unsigned kMaskThreads = 8;
// Tables grow by so many blocks, so that most steps have the shape of the one before: a backend need not record those again.
constexpr int kTableStep = 8;

int64_t EndOf(const BatchItem& item) {
  return item.first + static_cast<int64_t>(item.tokens.size() + item.guesses.size());
}

bool Samples(const ScheduledBatch::Item& item) { return CatchesUp(item) && !item.sequence->request.embed; }

bool IsGuided(const ScheduledBatch::Item& item) { return Samples(item) && item.sequence->request.guide != nullptr; }

// Of how many best logits all sequences of the step can choose; 0: somebody needs all.
int BestNeeded(const ScheduledBatch& batch, const ModelRunner& runner) {
  int most = 0, guided = 0;
  for (const ScheduledBatch::Item& item : batch.items) {
    if (!Samples(item)) continue;
    const Sequence& s = *item.sequence;
    // What may follow a guess is known only once the guess is taken.
    if (s.request.guide != nullptr && (item.num_drafted > 0 || ++guided > runner.most_masks())) return 0;
    const int needed = s.sampler.BestNeeded();
    if (needed == 0) return 0;
    most = std::max(most, needed);
  }
  return most <= runner.most_best() ? most : 0;
}

}  // namespace

const ForwardBatch& BatchBuilder::Build(const ScheduledBatch& scheduled, const ModelRunner& runner) {
  items_.clear();
  for (const ScheduledBatch::Item& item : scheduled.items) {
    const Sequence& s = *item.sequence;
    const auto first = static_cast<size_t>(s.num_computed());
    items_.push_back({s.kv.get(), s.num_computed(),
                      std::span(s.tokens).subspan(first, static_cast<size_t>(item.num_tokens)),
                      std::span(s.draft).first(static_cast<size_t>(item.num_drafted)),
                      Samples(item), s.request.adapters,
                      s.request.embed ? s.num_tokens() : 0});
  }
  Build(items_);
  batch_.best = BestNeeded(scheduled, runner);
  batch_.masked = batch_.best > 0 && std::ranges::any_of(scheduled.items, IsGuided);
  return batch_;
}

bool BatchBuilder::Advance() {
  int64_t longest = 0;
  for (BatchItem& item : items_) {
    ++item.first;
    longest = std::max(longest, EndOf(item));
  }
  const int max_blocks = kv_.front().max_blocks;
  if (kv::BlocksFor(longest) > max_blocks) return false;
  for (size_t row = 0; row < items_.size(); ++row) {
    positions_[row] = static_cast<int32_t>(items_[row].first);
    context_len_[row] = static_cast<int32_t>(EndOf(items_[row]));
  }
  FillBlocks(items_, max_blocks);
  return true;
}

void BatchBuilder::AddMasks(const ScheduledBatch& scheduled, int64_t vocab_size) {
  if (!batch_.masked) return;
  const auto words = static_cast<size_t>(TokenMasks::words(vocab_size));
  mask_rows_.clear();
  mask_bits_.clear();
  AskGuides(scheduled);
  for (size_t i = 0; i < scheduled.items.size(); ++i) {
    const ScheduledBatch::Item& item = scheduled.items[i];
    const std::span<const uint32_t> allowed = allowed_[i];
    if (!Samples(item)) continue;
    if (allowed.empty()) {
      mask_rows_.insert(mask_rows_.end(), static_cast<size_t>(1 + item.num_drafted), -1);
      continue;
    }
    CHECK_GE(allowed.size(), words);
    mask_rows_.push_back(static_cast<int32_t>(mask_bits_.size() / words));
    mask_bits_.insert(mask_bits_.end(), allowed.begin(), allowed.begin() + static_cast<std::ptrdiff_t>(words));
  }
  if (!mask_bits_.empty()) batch_.masks = {mask_rows_, mask_bits_};
}

// A pass is shorter than the masks of a few sequences take one after the other.
void BatchBuilder::AskGuides(const ScheduledBatch& scheduled) {
  allowed_.assign(scheduled.items.size(), {});
  std::vector<size_t> guided;
  for (size_t i = 0; i < scheduled.items.size(); ++i) {
    if (IsGuided(scheduled.items[i])) guided.push_back(i);
  }
  const auto ask = [&](int64_t begin, int64_t end, int) {
    for (int64_t g = begin; g < end; ++g) {
      const size_t i = guided[static_cast<size_t>(g)];
      allowed_[i] = scheduled.items[i].sequence->request.guide->Allowed();
    }
  };
  if (guided.size() < 2) return ask(0, static_cast<int64_t>(guided.size()), 0);
  if (mask_threads_ == nullptr) {
    ThreadOptions threads(static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, kMaskThreads)));
    threads.poll = 0;  // a step is longer than any worker should look for work
    mask_threads_ = std::make_unique<ThreadPool>(threads);
  }
  mask_threads_->ParallelFor(static_cast<int64_t>(guided.size()), 1, ask);
}

const ForwardBatch& BatchBuilder::Build(std::span<const BatchItem> items) {
  token_ids_.clear();
  positions_.clear();
  context_len_.clear();
  logit_rows_.clear();
  hidden_rows_.clear();
  adapters_.clear();
  query_start_.assign(1, 0);
  int64_t longest = 0;
  for (const BatchItem& item : items) {
    AddTokens(item);
    longest = std::max(longest, EndOf(item));
  }
  const auto max_blocks = (static_cast<int>(kv::BlocksFor(longest)) + kTableStep - 1) / kTableStep * kTableStep;
  FillBlocks(items, max_blocks);
  kv_.clear();
  for (const Group& group : groups_) kv_.push_back({group.slots, group.block_table, max_blocks});
  batch_ = {token_ids_, {positions_, query_start_, context_len_}, kv_, logit_rows_, hidden_rows_,
            0, adapters_};
  return batch_;
}

void BatchBuilder::AddTokens(const BatchItem& item) {
  const auto first = static_cast<int>(token_ids_.size());
  int64_t position = item.first;
  for (const TokenId token : item.tokens) {
    if (item.text_tokens > 0 && Pooler::Needs(*pooling_, causal_, position, item.text_tokens)) {
      hidden_rows_.push_back(static_cast<int32_t>(token_ids_.size()));
    }
    token_ids_.push_back(token);
    positions_.push_back(static_cast<int32_t>(position++));
  }
  if (item.wants_logits) logit_rows_.push_back(static_cast<int32_t>(token_ids_.size()) - 1);
  for (const TokenId token : item.guesses) {
    logit_rows_.push_back(static_cast<int32_t>(token_ids_.size()));
    token_ids_.push_back(token);
    positions_.push_back(static_cast<int32_t>(position++));
  }
  const auto end = static_cast<int>(token_ids_.size());
  if (!item.adapters.empty()) {
    if (!adapters_.empty() && adapters_.back().end == first &&
        std::ranges::equal(adapters_.back().uses, item.adapters)) {
      adapters_.back().end = end;
    } else {
      adapters_.push_back({first, end, item.adapters});
    }
  }
  context_len_.push_back(static_cast<int32_t>(position));
  query_start_.push_back(static_cast<int32_t>(token_ids_.size()));
}

void BatchBuilder::FillBlocks(std::span<const BatchItem> items, int max_blocks) {
  for (size_t g = 0; g < groups_.size(); ++g) {
    groups_[g].slots.clear();
    groups_[g].block_table.assign(items.size() * static_cast<size_t>(max_blocks), -1);
    for (size_t row = 0; row < items.size(); ++row) AddBlocks(items[row], row, static_cast<int>(g), max_blocks);
  }
}

void BatchBuilder::AddBlocks(const BatchItem& item, size_t row, int g, int max_blocks) {
  Group& group = groups_[static_cast<size_t>(g)];
  const kv::BlockTable& table = item.kv->table(g);
  const int64_t end = EndOf(item);
  for (int64_t p = item.first; p < end; ++p) {
    const int32_t block = table[static_cast<int>(p / kKvBlockTokens)].value;
    CHECK_GE(block, 0);
    group.slots.push_back(block * kKvBlockTokens + static_cast<int32_t>(p % kKvBlockTokens));
  }
  const auto blocks = static_cast<size_t>(kv::BlocksFor(end));
  std::ranges::transform(table.blocks().first(blocks),
                         group.block_table.begin() +
                             static_cast<std::ptrdiff_t>(row * static_cast<size_t>(max_blocks)),
                         [](kv::BlockId b) { return b.value; });
}

}  // namespace lb

#include "engine/model_drafter.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/log.h"
#include "sampling/vector_math.h"

namespace lb {

Result<std::unique_ptr<ModelDrafter>> ModelDrafter::Create(ModelDrafterConfig config,
                                                           std::unique_ptr<ModelRunner> runner) {
  kv::KvCacheConfig cache;
  cache.groups = config.kv_groups;
  cache.max_chunk = config.max_batch_tokens;
  LB_ASSIGN_OR_RETURN(auto kv, kv::KvCacheManager::Create(std::move(cache)));
  return std::unique_ptr<ModelDrafter>(
      new ModelDrafter(std::move(config), std::move(runner), std::move(kv)));
}

ModelDrafter::ModelDrafter(ModelDrafterConfig config, std::unique_ptr<ModelRunner> runner,
                           std::unique_ptr<kv::KvCacheManager> kv)
    : config_(std::move(config)),
      runner_(std::move(runner)),
      kv_(std::move(kv)),
      batch_builder_(kv_->num_groups(), std::nullopt, true) {}

kv::SequenceKv* ModelDrafter::StateOf(const Sequence& s) {
  std::unique_ptr<kv::SequenceKv>& state = states_[s.id];
  if (state == nullptr) {
    state = kv_->NewSequence(s.request.cache_namespace, s.request.cache_prompt);
    kv_->Attach(*state, s.tokens, kv_->Match(*state, s.tokens));
  }
  return state.get();
}

void ModelDrafter::Draft(std::span<const DraftTask> tasks) {
  std::unordered_set<uint64_t> running;
  for (const DraftTask& task : tasks) running.insert(task.sequence->id);
  std::erase_if(states_, [&](const auto& state) { return !running.contains(state.first); });
  std::vector<Guess> open = CatchUp(tasks);
  const std::vector<Guess> all = open;
  while (!open.empty()) GoOn(&open);
  // Which guesses are right is not known yet: none of them is kept.
  for (const Guess& guess : all) kv_->Rollback(*guess.kv);
}

std::vector<ModelDrafter::Guess> ModelDrafter::CatchUp(std::span<const DraftTask> tasks) {
  std::vector<BatchItem> items;
  std::vector<Guess> guesses;  // of the same index
  int left = config_.max_batch_tokens;
  for (const DraftTask& task : tasks) {
    Sequence& s = *task.sequence;
    if (task.most <= 0 || left == 0) continue;
    kv::SequenceKv* kv = StateOf(s);
    const int64_t missing = s.num_tokens() - kv->num_computed();
    const int64_t end = kv_->Reservable(*kv, kv->num_computed() + std::min<int64_t>(missing, left));
    if (end <= kv->num_computed()) {
      Forget(s.id);  // it begins anew when there is room
      continue;
    }
    CHECK(kv_->Reserve(*kv, end));
    const auto first = static_cast<size_t>(kv->num_computed());
    const auto count = static_cast<size_t>(end) - first;
    items.push_back({kv,
                     static_cast<int64_t>(first),
                     std::span(s.tokens).subspan(first, count),
                     {},
                     end == s.num_tokens()});
    guesses.push_back({&s, kv, task.most});
    left -= static_cast<int>(count);
  }
  if (items.empty()) return {};
  const auto logits = runner_->Run(batch_builder_.Build(items));
  if (!logits.has_value()) {
    LogWarning("the draft model failed: {}", logits.error().message);
    states_.clear();
    return {};
  }
  const auto vocab = static_cast<size_t>(runner_->vocab_size());
  std::vector<Guess> open;
  size_t row = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    const int64_t end = items[i].first + static_cast<int64_t>(items[i].tokens.size());
    kv_->Commit(*guesses[i].kv, guesses[i].sequence->tokens, end);
    if (!items[i].wants_logits) continue;
    if (TakeBest(logits->subspan(vocab * row++, vocab), guesses[i].sequence)) {
      open.push_back(guesses[i]);
    }
  }
  return open;
}

void ModelDrafter::GoOn(std::vector<Guess>* open) {
  std::vector<BatchItem> items;
  std::vector<Guess> still;
  for (const Guess& guess : *open) {
    const Sequence& s = *guess.sequence;
    const auto drafted = static_cast<int64_t>(s.draft.size());
    const int64_t end = s.num_tokens() + drafted;  // the last guess is computed now
    if (drafted >= guess.most || kv_->Reservable(*guess.kv, end) < end) continue;
    CHECK(kv_->Reserve(*guess.kv, end));
    items.push_back({guess.kv, end - 1, std::span(&s.draft.back(), 1), {}, true});
    still.push_back(guess);
  }
  open->clear();
  if (items.empty()) return;
  const auto logits = runner_->Run(batch_builder_.Build(items));
  if (!logits.has_value()) {
    LogWarning("the draft model failed: {}", logits.error().message);
    return;
  }
  const auto vocab = static_cast<size_t>(runner_->vocab_size());
  for (size_t i = 0; i < still.size(); ++i) {
    if (TakeBest(logits->subspan(vocab * i, vocab), still[i].sequence)) open->push_back(still[i]);
  }
}

bool ModelDrafter::TakeBest(std::span<const float> logits, Sequence* sequence) const {
  const auto best = std::max_element(logits.begin(), logits.end());
  const double sum = sampling::SumExp(logits, *best);  // 1 / sum is its probability
  if (!(1.0 / sum >= config_.min_probability)) return false;
  sequence->draft.push_back(static_cast<TokenId>(best - logits.begin()));
  return true;
}

}  // namespace lb

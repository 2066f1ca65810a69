// What the engine does for its cache beside the steps: copies between pool and host, and the file.
#include <algorithm>

#include "engine/engine.h"
#include "engine/prompt_cache_file.h"

namespace lb {

void Engine::MoveBlocks(ScheduledBatch& batch) {
  moves_ = kv_->TakeTransfers();
  if (moves_.empty()) return;
  const Result<void> moved = runner_->Move(moves_);
  if (!moved.has_value()) LoseMoves(moved.error(), batch);
}

void Engine::LoseMoves(const Error& error, ScheduledBatch& batch) {
  if (moves_.empty()) return;
  std::vector<Sequence*> losers;
  for (const auto& [id, s] : sequences_) {
    if (s->kv != nullptr && kv_->Holds(*s->kv, moves_)) losers.push_back(s.get());
  }
  std::ranges::sort(losers, {}, &Sequence::id);
  for (Sequence* s : losers) {
    std::erase_if(batch.items, [=](const ScheduledBatch::Item& item) { return item.sequence == s; });
    Fail(*s, Error{ErrorCode::kComputeFault, error.message, {}});
  }
  kv_->Discard(moves_);
  moves_.clear();
}

Result<int64_t> Engine::LoadPromptCache(const std::string& path, const std::string& key) {
  auto loaded = lb::LoadPromptCache(*kv_, *runner_, path, key);
  PublishStats();
  return loaded;
}

Result<int64_t> Engine::SavePromptCache(const std::string& path, const std::string& key) {
  ScheduledBatch nothing;
  MoveBlocks(nothing);
  return lb::SavePromptCache(*kv_, *runner_, path, key);
}

}  // namespace lb

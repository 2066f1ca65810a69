// While a device computes a step of which nothing but the tokens is wanted, the next one is scheduled, built and queued behind it, as if
// every sequence went on. What the device is told at the end of the first step are its tokens.
//
// A sequence that ends all the same leaves a row that nobody reads. Its blocks are free at once: what the row writes to them comes, on
// the device, before anything that a later step does.
#include <algorithm>

#include "engine/engine.h"

namespace lb {
namespace {

// The host's work for a step takes tens of microseconds. Of a longer step that is not worth that a newcomer waits for two.
constexpr int64_t kLongestStepUs = 5000;

}  // namespace

ScheduledBatch Engine::AheadBatch() const {
  ScheduledBatch batch;
  for (Sequence* s : ahead_) batch.items.push_back({s, 1});
  batch.num_decode_tokens = static_cast<int>(ahead_.size());
  return batch;
}

void Engine::RunAhead(const ScheduledBatch& batch, const ForwardBatch& built) {
  const bool plain = built.best > 0 && !built.masked && built.adapters.empty();
  if (!plain || config_.max_step_drafts > 0 || last_step_us_ > kLongestStepUs) return;
  // Who has just come is in the next step. What the host tier has to copy for that room belongs between the two.
  if (!inbox_->empty() || !scheduler_.ReserveNext(batch) || kv_->has_transfers()) return;
  if (!batch_builder_.Advance() || !runner_->StartNext(built)) return;
  for (const ScheduledBatch::Item& item : batch.items) ahead_.push_back(item.sequence);
  ++stats_.steps_ahead;
}

void Engine::ReleaseAhead() {
  if (ahead_.empty()) return;
  for (size_t row = 0; row < ahead_.size(); ++row) batch_builder_.SetToken(row, ahead_[row] == nullptr ? 0 : ahead_[row]->tokens.back());
  runner_->Release();
}

}  // namespace lb

#include "engine/stream.h"

#include <utility>

#include "engine/inbox.h"

namespace lb {

StreamState::StreamState(uint64_t id, int capacity, std::shared_ptr<Inbox> inbox)
    : id_(id), capacity_(capacity), inbox_(std::move(inbox)) {}

void StreamState::Push(TokenEvent event) {
  std::lock_guard lock(mutex_);
  ended_ = event.last();
  events_.push_back(std::move(event));
  num_events_.store(static_cast<int>(events_.size()), std::memory_order_relaxed);
  arrived_.notify_all();
  // Under the lock, so that no wake can come once Abandon has returned.
  if (armed_ && wake_) {
    armed_ = false;
    wake_();
  }
}

std::vector<TokenEvent> StreamState::TakeLocked() {
  const bool was_full = num_events_.load(std::memory_order_relaxed) >= capacity_;
  armed_ = true;
  num_events_.store(0, std::memory_order_relaxed);
  if (was_full && !ended_) inbox_->Wake();
  return std::exchange(events_, {});
}

std::vector<TokenEvent> StreamState::Take() {
  std::lock_guard lock(mutex_);
  return TakeLocked();
}

std::vector<TokenEvent> StreamState::Wait() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [this] { return !events_.empty() || ended_; });
  return TakeLocked();
}

void StreamState::OnReady(std::function<void()> wake) {
  std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
  armed_ = events_.empty();
  if (!armed_ && wake_) wake_();
}

void StreamState::Abandon() {
  std::lock_guard lock(mutex_);
  wake_ = nullptr;
  events_.clear();
  num_events_.store(0, std::memory_order_relaxed);
  if (!ended_) inbox_->Cancel(id_);
}

}  // namespace lb

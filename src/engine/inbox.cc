#include "engine/inbox.h"

#include <chrono>
#include <utility>

namespace lb {

bool Inbox::Submit(std::unique_ptr<Sequence>& sequence) {
  std::lock_guard lock(mutex_);
  if (closed_) return false;
  contents_.submitted.push_back(std::move(sequence));
  woken_ = true;
  changed_.notify_one();
  return true;
}

bool Inbox::Call(std::function<void()> call) {
  std::lock_guard lock(mutex_);
  if (closed_) return false;
  contents_.calls.push_back(std::move(call));
  woken_ = true;
  changed_.notify_one();
  return true;
}

void Inbox::Cancel(uint64_t id) {
  std::lock_guard lock(mutex_);
  contents_.cancelled.push_back(id);
  woken_ = true;
  changed_.notify_one();
}

void Inbox::Wake() {
  std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

void Inbox::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  woken_ = true;
  changed_.notify_one();
}

bool Inbox::has_submissions() const {
  std::lock_guard lock(mutex_);
  return !contents_.submitted.empty();
}

bool Inbox::empty() const {
  std::lock_guard lock(mutex_);
  return contents_.empty();
}

Inbox::Contents Inbox::Take() {
  std::lock_guard lock(mutex_);
  woken_ = false;
  return std::exchange(contents_, {});
}

void Inbox::Wait(int64_t timeout_us) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::microseconds(timeout_us), [this] { return woken_; });
}

}  // namespace lb

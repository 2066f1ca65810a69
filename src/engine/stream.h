// The channel of one answer: the engine writes, one reader takes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/engine_client.h"

namespace lb {

class Inbox;

// Shared by both ends. Thread-safe. Bounded by agreement: the engine runs a sequence only while its
// stream is not full, so a slow reader holds back its own answer, and no event is ever dropped.
class StreamState {
 public:
  StreamState(uint64_t id, int capacity, std::shared_ptr<Inbox> inbox);

  // Engine's end. What it holds back for a while counts as there.
  void Push(TokenEvent event);
  void HoldBack(int num_events) { num_held_ += num_events; }
  bool HasRoom(int num_events) const { return num_events_.load(std::memory_order_relaxed) + num_held_ + num_events <= capacity_; }
  bool full() const { return !HasRoom(1); }

  // Reader's end.
  std::vector<TokenEvent> Take();
  std::vector<TokenEvent> Wait();
  void OnReady(std::function<void()> wake);
  void Abandon();
  // What Abandon means then: done, not cancelled.
  void Satisfy() { satisfied_.store(true, std::memory_order_relaxed); }
  bool satisfied() const { return satisfied_.load(std::memory_order_relaxed); }

 private:
  std::vector<TokenEvent> TakeLocked();

  const uint64_t id_;
  const int capacity_;
  const std::shared_ptr<Inbox> inbox_;
  int num_held_ = 0;  // engine thread
  std::atomic<int> num_events_{0};
  std::atomic<bool> satisfied_{false};
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<TokenEvent> events_;
  std::function<void()> wake_;
  bool armed_ = true;   // wake_ is due at the next event
  bool ended_ = false;  // the last event was pushed
};

// The reader's handle.
class StreamReader final : public TokenStream {
 public:
  explicit StreamReader(std::shared_ptr<StreamState> state) : state_(std::move(state)) {}
  ~StreamReader() override { state_->Abandon(); }
  std::vector<TokenEvent> Take() override { return state_->Take(); }
  std::vector<TokenEvent> Wait() override { return state_->Wait(); }
  void OnReady(std::function<void()> wake) override { state_->OnReady(std::move(wake)); }
  void Finish() override { state_->Satisfy(); }

 private:
  std::shared_ptr<StreamState> state_;
};

}  // namespace lb

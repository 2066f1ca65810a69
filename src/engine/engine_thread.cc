#include "engine/engine_thread.h"

#include <algorithm>
#include <limits>

namespace lb {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
// Every wait is bounded, so that a wake that was lost by a bug of ours costs a second and not a
// hang.
constexpr int64_t kLongestSleepUs = 1'000'000;

}  // namespace

EngineThread::EngineThread(Engine* engine, const Clock* clock)
    : engine_(engine), clock_(clock), deadline_us_(kNever), thread_([this] { Loop(); }) {}

EngineThread::~EngineThread() { Stop(0); }

void EngineThread::Stop(int64_t drain_ms) {
  const int64_t deadline = clock_->NowMicros() + drain_ms * 1000;
  int64_t current = deadline_us_.load();
  while (deadline < current && !deadline_us_.compare_exchange_weak(current, deadline)) {
  }
  engine_->StopAccepting();
  std::lock_guard lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void EngineThread::Loop() {
  while (true) {
    const bool worked = engine_->Step();
    const int64_t deadline = deadline_us_.load();
    int64_t sleep_us = kLongestSleepUs;
    if (deadline != kNever) {
      const int64_t left = deadline - clock_->NowMicros();
      if (left <= 0 || engine_->idle()) break;
      sleep_us = std::min(sleep_us, left);
    }
    if (!worked) engine_->inbox().Wait(sleep_us);
  }
  engine_->FailAll(Error{ErrorCode::kUnavailable, "the server is stopping", {}});
}

}  // namespace lb

// EngineThread: runs an engine's steps on a thread of its own.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "engine/engine.h"

namespace lb {

// Sleeps while there is nothing to do. The engine outlives it.
class EngineThread {
 public:
  explicit EngineThread(Engine* engine, const Clock* clock);
  ~EngineThread();  // Stop(0)

  // No new requests; open ones may finish within `drain_ms`, the rest then end with kUnavailable.
  // Returns when the thread has ended. Any thread but the engine's, once or more.
  void Stop(int64_t drain_ms);

 private:
  void Loop();

  Engine* engine_;
  const Clock* clock_;
  std::atomic<int64_t> deadline_us_;  // the largest value: not stopping
  std::mutex join_mutex_;
  std::thread thread_;
};

}  // namespace lb

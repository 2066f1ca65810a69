// The threads of the CPU backend: the caller and num_threads - 1 workers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.h"

namespace lb {

// How many threads there are, and where and how they run.
struct ThreadOptions {
  ThreadOptions(int num_threads = 0) : count(num_threads) {}  // a bare number says all that most need

  int count;              // the caller included; 0: one for each CPU they may use
  std::vector<int> cpus;  // the CPUs they may use; empty: those of the process
  bool strict = false;    // thread i stays on cpus[i], and not on any of them
  int priority = 0;       // -1 low, 0 normal, 1 medium, 2 high, 3 highest; above 0 needs privileges
  int poll = 50;          // 0 to 100: how long a worker looks for work before it sleeps, in units of 2 us
};
// kInvalidArgument names a number out of range, or a CPU that this process may not use.
Result<void> CheckThreads(const ThreadOptions& options);

// One caller at a time (the engine thread). Workers look for work for a short while after a region,
// then sleep: an idle pool takes no CPU.
class ThreadPool {
 public:
  explicit ThreadPool(ThreadOptions options);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs fn(begin, end, thread) over [0, n) in pieces of `grain`, given out as threads ask for them;
  // 0 <= thread < num_threads. Returns when all is done. Which thread runs which piece is a matter of
  // chance: no result may depend on it.
  template <typename Fn>
  void ParallelFor(int64_t n, int64_t grain, const Fn& fn) {
    if (n <= 0) return;
    if (places_) PlaceCaller();
    if (workers_.empty() || n <= grain) {
      fn(int64_t{0}, n, 0);
      return;
    }
    Run(n, grain, [](const void* f, int64_t begin, int64_t end, int thread) {
      (*static_cast<const Fn*>(f))(begin, end, thread);
    }, &fn);
  }

 private:
  using Call = void (*)(const void* fn, int64_t begin, int64_t end, int thread);

  void Run(int64_t n, int64_t grain, Call call, const void* fn);
  void Work(int thread);
  void TakePieces(int thread);
  bool WaitForRegion(uint32_t seen);
  // Puts the calling thread, number `thread` of the pool, where the options say.
  void Place(int thread) const;
  void PlaceCaller();

  const ThreadOptions options_;
  const bool places_;         // there is something to do for Place
  std::thread::id caller_;    // the thread that was placed as number 0
  std::vector<std::thread> workers_;

  // The region in progress. Written by the caller while it is closed and nobody is inside.
  Call call_ = nullptr;
  const void* fn_ = nullptr;
  int64_t n_ = 0;
  int64_t grain_ = 1;

  alignas(64) std::atomic<int64_t> next_{0};         // the first piece not yet given out
  alignas(64) std::atomic<uint32_t> region_{0};      // counts regions; a change calls the workers
  std::atomic<bool> open_{false};                    // a worker may enter the region
  alignas(64) std::atomic<int> inside_{0};           // workers that are in it, or look whether it is open
  std::atomic<bool> stop_{false};
  std::atomic<int> sleeping_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace lb

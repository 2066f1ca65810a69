#include "kernels/cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>

namespace lb {
namespace {

// How long a worker looks for the next region before it sleeps. Regions of one step follow each other
// within microseconds; waking a sleeper costs about 50.
constexpr auto kSpin = std::chrono::microseconds(100);

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int CpusOfProcess() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// Spins until `done`, or until the time is up. Between looks at the clock it yields, so that on a
// machine with fewer free cores than threads the one that has the work gets to run.
template <typename Done>
bool SpinUntil(const Done& done, std::chrono::microseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

}  // namespace

ThreadPool::ThreadPool(int num_threads) {
  const int n = num_threads > 0 ? num_threads : CpusOfProcess();
  for (int i = 1; i < n; ++i) workers_.emplace_back([this, i] { Work(i); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_.store(true);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::TakePieces(int thread) {
  for (;;) {
    const int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
    if (begin >= n_) return;
    call_(fn_, begin, std::min(n_, begin + grain_), thread);
  }
}

void ThreadPool::Run(int64_t n, int64_t grain, Call call, const void* fn) {
  call_ = call;
  fn_ = fn;
  n_ = n;
  grain_ = std::max<int64_t>(1, grain);
  next_.store(0, std::memory_order_relaxed);
  open_.store(true);
  region_.fetch_add(1);
  if (sleeping_.load() > 0) {
    // The lock closes the gap between a worker's last look at region_ and its sleep.
    { const std::lock_guard lock(mutex_); }
    wake_.notify_all();
  }
  TakePieces(0);
  // Nobody enters from here on: a worker that was slow to wake is not waited for. Those inside must
  // leave before the variables may change.
  open_.store(false);
  while (!SpinUntil([this] { return inside_.load() == 0; }, std::chrono::microseconds(20))) {
    std::this_thread::yield();
  }
}

bool ThreadPool::WaitForRegion(uint32_t seen) {
  const auto ready = [this, seen] { return region_.load() != seen || stop_.load(); };
  if (!SpinUntil(ready, kSpin)) {
    std::unique_lock lock(mutex_);
    sleeping_.fetch_add(1);
    wake_.wait(lock, ready);
    sleeping_.fetch_sub(1);
  }
  return !stop_.load();
}

void ThreadPool::Work(int thread) {
  uint32_t seen = 0;
  while (WaitForRegion(seen)) {
    seen = region_.load();
    // First announced, then looked: either we see the region closed, or Run sees us inside.
    inside_.fetch_add(1);
    if (open_.load()) TakePieces(thread);
    inside_.fetch_sub(1);
  }
}

}  // namespace lb

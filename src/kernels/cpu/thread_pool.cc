#include "kernels/cpu/thread_pool.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/log.h"

namespace lb {
namespace {

// Nice values of the priorities from -1 on.
constexpr int kNice[] = {10, 0, -5, -10, -20};

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

cpu_set_t CpusOfProcess() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) CPU_SET(0, &set);
  return set;
}

int CountOf(const ThreadOptions& options) {
  if (options.count > 0) return options.count;
  if (!options.cpus.empty()) return static_cast<int>(options.cpus.size());
  const cpu_set_t set = CpusOfProcess();
  return std::max(1, CPU_COUNT(&set));
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

Result<void> CheckThreads(const ThreadOptions& options) {
  if (options.count < 0 || options.count > 1024) {
    return Fail(ErrorCode::kInvalidArgument, "{} threads; want 1 to 1024, or 0 for one per core",
                options.count);
  }
  if (options.priority < -1 || options.priority > 3 || options.poll < 0 || options.poll > 100) {
    return Fail(ErrorCode::kInvalidArgument,
                "thread priority {} and poll level {}; want -1 to 3 and 0 to 100", options.priority,
                options.poll);
  }
  const cpu_set_t allowed = CpusOfProcess();
  for (int cpu : options.cpus) {
    if (cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed)) {
      return Fail(ErrorCode::kInvalidArgument, "this process may not use CPU {} (it has {} CPUs)", cpu,
                  CPU_COUNT(&allowed));
    }
  }
  return {};
}

ThreadPool::ThreadPool(ThreadOptions options)
    : options_(std::move(options)), places_(!options_.cpus.empty() || options_.priority != 0) {
  const int n = CountOf(options_);
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

void ThreadPool::Place(int thread) const {
  if (!options_.cpus.empty()) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (options_.strict) {
      CPU_SET(options_.cpus[static_cast<size_t>(thread) % options_.cpus.size()], &set);
    } else {
      for (int cpu : options_.cpus) CPU_SET(cpu, &set);
    }
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
      LogWarning("cannot bind thread {} to its CPUs: {}", thread, std::strerror(errno));
    }
  }
  // Of one thread, whatever the name of the call says.
  if (options_.priority != 0 &&
      setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice[options_.priority + 1]) != 0) {
    LogWarning("cannot give thread {} priority {}: {}", thread, options_.priority,
               std::strerror(errno));
  }
}

void ThreadPool::PlaceCaller() {
  if (caller_ == std::this_thread::get_id()) return;
  caller_ = std::this_thread::get_id();
  Place(0);
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
  // Regions of one step follow each other within microseconds; waking a sleeper costs about 50.
  if (!SpinUntil(ready, std::chrono::microseconds(2 * options_.poll))) {
    std::unique_lock lock(mutex_);
    sleeping_.fetch_add(1);
    wake_.wait(lock, ready);
    sleeping_.fetch_sub(1);
  }
  return !stop_.load();
}

void ThreadPool::Work(int thread) {
  if (places_) Place(thread);
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

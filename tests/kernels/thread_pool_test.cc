// Proves that the pool does every piece once, whatever the number of threads, in many short regions and
// after sleep; that an idle pool takes no CPU; and that threads stay on the CPUs they are given.
#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

namespace lb {
namespace {

double CpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

TEST(ThreadPool, EveryPieceOnce) {
  for (const int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.num_threads(), threads);
    for (const int64_t n : {0, 1, 7, 1000}) {
      for (const int64_t grain : {1, 3, 1000}) {
        std::vector<int> seen(static_cast<size_t>(n));
        pool.ParallelFor(n, grain, [&](int64_t begin, int64_t end, int thread) {
          EXPECT_TRUE(thread >= 0 && thread < threads);
          for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
        });
        for (int count : seen) EXPECT_EQ(count, 1);
      }
    }
  }
}

TEST(ThreadPool, ManyShortRegionsSeeWhatCameBefore) {
  ThreadPool pool(3);
  std::vector<int64_t> values(64);
  for (int round = 0; round < 3000; ++round) {
    pool.ParallelFor(64, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        // Reads what another thread may have written in the region before.
        values[static_cast<size_t>(i)] = values[static_cast<size_t>(i)] + i;
      }
    });
    std::rotate(values.begin(), values.begin() + 1, values.end());
    std::rotate(values.begin(), values.end() - 1, values.end());
  }
  for (int64_t i = 0; i < 64; ++i) EXPECT_EQ(values[static_cast<size_t>(i)], i * 3000);
}

TEST(ThreadPool, SleepsWhenIdleAndWakes) {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  const auto region = [&] {
    pool.ParallelFor(100, 1, [&](int64_t begin, int64_t, int) { sum += begin; });
  };
  region();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const double before = CpuSeconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(CpuSeconds() - before, 0.02);
  region();
  EXPECT_EQ(sum.load(), 2 * 4950);
}

std::vector<int> AllowedCpus() {
  cpu_set_t set;
  sched_getaffinity(0, sizeof(set), &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// Runs on a thread of its own, for the pool places its caller too.
template <typename Fn>
void OnOwnThread(const Fn& fn) {
  std::thread thread(fn);
  thread.join();
}

TEST(ThreadPool, ThreadsStayOnTheirCpus) {
  const std::vector<int> all = AllowedCpus();
  OnOwnThread([&] {
    ThreadOptions options(2);
    options.cpus = {all.back()};
    ThreadPool pool(options);
    std::atomic<int> looked{0};
    // Until both have had a piece.
    std::vector<std::vector<int>> seen(2);
    while (looked.load() != 3) {
      pool.ParallelFor(2, 1, [&](int64_t, int64_t, int thread) {
        seen[static_cast<size_t>(thread)] = AllowedCpus();
        looked |= 1 << thread;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      });
    }
    EXPECT_EQ(seen[0], options.cpus);
    EXPECT_EQ(seen[1], options.cpus);
  });
  OnOwnThread([&] {
    ThreadOptions options;  // as many as CPUs
    options.cpus = all;
    options.strict = true;
    ThreadPool pool(options);
    EXPECT_EQ(pool.num_threads(), static_cast<int>(all.size()));
    pool.ParallelFor(64, 1, [&](int64_t, int64_t, int thread) {
      EXPECT_EQ(AllowedCpus(), std::vector<int>{all[static_cast<size_t>(thread)]});
    });
  });
  EXPECT_EQ(AllowedCpus(), all);
}

TEST(ThreadPool, LowPriorityIsOfItsThreadsOnly) {
  const int before = getpriority(PRIO_PROCESS, 0);
  OnOwnThread([before] {
    ThreadOptions options(1);
    options.priority = -1;
    ThreadPool pool(options);
    pool.ParallelFor(1, 1, [before](int64_t, int64_t, int) {
      EXPECT_GT(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())), before);
    });
  });
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), before);
}

TEST(ThreadPool, OptionsAreChecked) {
  EXPECT_TRUE(CheckThreads({}).has_value());
  ThreadOptions options;
  options.cpus = {100000};
  EXPECT_FALSE(CheckThreads(options).has_value());
  options = {};
  options.priority = 4;
  EXPECT_FALSE(CheckThreads(options).has_value());
  options = {};
  options.poll = 101;
  EXPECT_FALSE(CheckThreads(options).has_value());
  EXPECT_FALSE(CheckThreads(-1).has_value());
}

}  // namespace
}  // namespace lb

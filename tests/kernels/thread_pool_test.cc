// Proves that the pool does every piece once, whatever the number of threads, in many short regions and
// after sleep; and that an idle pool takes no CPU.
#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <chrono>

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

}  // namespace
}  // namespace lb

// What this machine can do at most, measured: the limits that speeds are compared with.
#pragma once

#include "kernels/cpu/thread_pool.h"

namespace lb {

struct Walls {
  double read_gbs = 0;        // reading memory that is in no cache, all threads
  double int8_gops = 0;       // int8 products and additions, all threads, each 1 operation; 0: unknown
  const char* int8_how = "";  // with which instructions
  double f32_gflops = 0;      // fused multiply-adds of floats, 2 operations each; 0: unknown
};

double WallSeconds();

// Takes about half a second, and 384 MB of memory while it runs. `seconds` is the clock it reads.
Walls MeasureWalls(ThreadPool& pool, double (*seconds)() = &WallSeconds);

}  // namespace lb

// What this machine can do at most, measured.
#pragma once

#include "kernels/cpu/thread_pool.h"

namespace lb {

struct Walls {
  double read_gbs = 0;       // reading memory that is in no cache, all threads
  double int8_gops = 0;      // int8 products and additions, all threads, each 1 operation
  const char* int8_how = ""; // with which instructions
  double f32_gflops = 0;     // fused multiply-adds of floats, 2 operations each
};

// Takes about a second.
Walls MeasureWalls(ThreadPool& pool);

}  // namespace lb

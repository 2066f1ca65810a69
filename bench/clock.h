// The clock of the measuring programs.
#pragma once

#include <time.h>

namespace lb {

// Count the calling thread's CPU time instead of the wall's: what is left to measure by, with one
// thread, on a machine that others use.
inline bool g_cpu_time = false;

inline double Seconds() {
  timespec t;
  clock_gettime(g_cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace lb

// The result of `llama-box bench`, for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "app/bench/limits.h"

namespace lb::app {

struct BenchRow {
  BenchTest test;
  std::vector<double> rates;  // tokens per second of each repetition; at least one
  BenchLimit limit;
};

struct BenchReport {
  std::string model;      // file name
  std::string backend;    // "cpu avx2 x 2"
  std::string processor;  // as the system calls it
  Walls walls;
  double load_seconds = 0;
  int64_t file_bytes = 0;
  int64_t kv_bytes = 0;    // of the pool, touched or not
  int64_t peak_bytes = 0;  // the most memory the process ever held, without measuring the walls
  int prompt = 0;
  std::vector<BenchRow> rows;
};

double Median(std::vector<double> values);

std::string TableOf(const BenchReport& report);
// One JSON object a line: first {"test":"machine", ...}, {"test":"load", ...}, then for each test
// {"test","streams","depth","tokens_per_second","min","max","limit","wall","fraction"}. limit and
// fraction are null where no wall is known.
std::string JsonOf(const BenchReport& report);

}  // namespace lb::app

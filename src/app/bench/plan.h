// What `llama-box bench` measures, and the room it needs for that.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace lb::app {

struct BenchOptions {
  int prompt = 512;     // tokens of the prefill test; 0: none
  int answer = 32;      // steps of a decode test's repetition; 0: no decode tests
  int repetitions = 3;  // of each test; the median counts
  std::vector<int> streams{1, 8, 16};
  std::vector<int> depths{0, 8192};  // tokens that lie before the first measured one
  bool json = false;
};

// "1,8,16": whole numbers from `low` on, commas between.
Result<std::vector<int>> ParseNumbers(const std::string& flag, const std::string& text, int low);

struct BenchTest {
  enum class Kind { kPrefill, kDecode };
  Kind kind = Kind::kDecode;
  int streams = 1;
  int depth = 0;
};

// Prefill; then decoding: every number of streams at the first depth, and the first number of
// streams at every other depth (all pairs would mostly compute long prompts).
std::vector<BenchTest> PlanTests(const BenchOptions& options);

// KV tokens that one stream of `test` takes at most.
int64_t TokensOfStream(const BenchTest& test, const BenchOptions& options);
// The same of all streams of the largest test, in whole blocks.
int64_t PoolTokens(const BenchOptions& options);

}  // namespace lb::app

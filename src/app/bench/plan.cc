#include "app/bench/plan.h"

#include <algorithm>
#include <charconv>

#include "kv/types.h"

namespace lb::app {

Result<std::vector<int>> ParseNumbers(const std::string& flag, const std::string& text, int low) {
  std::vector<int> numbers;
  const char* at = text.data();
  const char* end = at + text.size();
  while (true) {
    int number = 0;
    const auto [rest, ec] = std::from_chars(at, end, number);
    if (ec != std::errc() || number < low || (rest != end && *rest != ',')) {
      return Fail(ErrorCode::kInvalidArgument,
                  "{} {}: want whole numbers from {} on with commas between", flag, text, low);
    }
    numbers.push_back(number);
    if (rest == end) return numbers;
    at = rest + 1;
  }
}

std::vector<BenchTest> PlanTests(const BenchOptions& options) {
  std::vector<BenchTest> tests;
  if (options.prompt > 0) tests.push_back({BenchTest::Kind::kPrefill, 1, 0});
  if (options.answer == 0) return tests;
  for (int streams : options.streams) {
    tests.push_back({BenchTest::Kind::kDecode, streams, options.depths.front()});
  }
  for (size_t i = 1; i < options.depths.size(); ++i) {
    tests.push_back({BenchTest::Kind::kDecode, options.streams.front(), options.depths[i]});
  }
  return tests;
}

int64_t TokensOfStream(const BenchTest& test, const BenchOptions& options) {
  if (test.kind == BenchTest::Kind::kPrefill) return options.prompt + 1;
  const int64_t depth = std::max(1, test.depth);
  // The first streams answer already while the others' prompts are computed, at least 16 tokens of
  // them in a step; all do for a step that is not measured, and none ends in one that is.
  const int64_t head_start = 2 + (test.streams == 1 ? 1 : test.streams * (depth / 16 + 1));
  return depth + head_start + int64_t{options.answer} * options.repetitions;
}

int64_t PoolTokens(const BenchOptions& options) {
  int64_t most = 0;
  for (const BenchTest& test : PlanTests(options)) {
    const int64_t blocks = kv::BlocksFor(TokensOfStream(test, options)) + 1;
    most = std::max(most, test.streams * blocks * kv::kBlockTokens);
  }
  return most;
}

}  // namespace lb::app

// `llama-box bench`: which tests a plan has and how much room they need; that the limits are the
// slower of memory and compute, and follow a window; that the driver lets exactly as many streams
// as asked decode together, on an engine that has no more than the planned room, and leaves it
// empty; that the JSON holds what the table shows.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <sstream>

#include "app/bench/driver.h"
#include "app/bench/report.h"
#include "app/system_info.h"
#include "base/log.h"
#include "tests/engine/fake_runner.h"

namespace lb::app {
namespace {

using Kind = BenchTest::Kind;

TEST(BenchPlan, NumbersAreReadStrictly) {
  EXPECT_EQ(*ParseNumbers("--streams", "1,8,16", 1), (std::vector<int>{1, 8, 16}));
  for (const char* bad : {"", "1,", ",1", "1 2", "0", "-3", "x", "99999999999"}) {
    EXPECT_FALSE(ParseNumbers("--streams", bad, 1).has_value()) << bad;
  }
}

TEST(BenchPlan, EveryStreamsAtTheFirstDepthThenTheOtherDepths) {
  BenchOptions options;
  options.streams = {2, 8};
  options.depths = {16, 4096};
  const auto tests = PlanTests(options);
  ASSERT_EQ(tests.size(), 4u);
  EXPECT_EQ(tests[0].kind, Kind::kPrefill);
  EXPECT_TRUE(tests[1].streams == 2 && tests[1].depth == 16);
  EXPECT_TRUE(tests[2].streams == 8 && tests[2].depth == 16);
  EXPECT_TRUE(tests[3].streams == 2 && tests[3].depth == 4096);
  options.prompt = 0;
  EXPECT_EQ(PlanTests(options).size(), 3u);
  options.answer = 0;
  EXPECT_TRUE(PlanTests(options).empty());
}

ModelConfig SmallModel(int window) {
  ModelConfig model;
  model.num_layers = 2;
  model.num_heads = 4;
  model.num_kv_heads = {2, 2};
  model.k_dim = model.v_dim = 64;
  model.kv_groups = {{0, {0}}, {window, {1}}};
  return model;
}

TEST(BenchLimit, TheSlowerOfMemoryAndComputeDecides) {
  const ModelCost cost{1'000'000'000, 2'000'000'000, 0, 0};
  const Walls walls{20, 400, "", 100};
  BenchOptions options;
  options.answer = 2;
  options.repetitions = 1;
  const auto limit = [&](BenchTest test) {
    return LimitOf(test, options, cost, SmallModel(0), {}, walls);
  };
  // 1 GB at 20 GB/s; attention near the start is next to nothing.
  EXPECT_NEAR(limit({Kind::kDecode, 1, 0}).tokens_per_second, 20, 0.01);
  EXPECT_STREQ(limit({Kind::kDecode, 1, 0}).wall, "memory");
  // 4 GOP a token at 400 GOP/s.
  EXPECT_NEAR(limit({Kind::kDecode, 16, 0}).tokens_per_second, 100, 0.1);
  EXPECT_STREQ(limit({Kind::kDecode, 16, 0}).wall, "compute");
  EXPECT_NEAR(limit({Kind::kPrefill, 1, 0}).tokens_per_second, 100, 1);
}

TEST(BenchLimit, DepthReadsTheCacheButNotBehindAWindow) {
  const ModelCost cost{1000, 1000, 0, 0};
  const Walls walls{1, 0, "", 0};  // memory is all there is
  BenchOptions options;
  options.answer = 0;
  const BenchTest deep{Kind::kDecode, 1, 1000};
  // A token has 2 heads x (64 + 64) x 2 bytes in a layer.
  const double full = 2 * 1001 * 512 + 1000;
  EXPECT_NEAR(LimitOf(deep, options, cost, SmallModel(0), {}, walls).tokens_per_second, 1e9 / full,
              1);
  const double windowed = (1001 + 100) * 512 + 1000;
  EXPECT_NEAR(LimitOf(deep, options, cost, SmallModel(100), {}, walls).tokens_per_second,
              1e9 / windowed, 1);
}

// Every look at the clock takes a millisecond.
class TickingClock final : public Clock {
 public:
  int64_t NowMicros() const override { return now_ += 1000; }

 private:
  mutable int64_t now_ = 0;
};

class BenchDriverTest : public testing::TestWithParam<bool> {};

// Also on a device that computes by itself, whose tokens come a step later.
TEST_P(BenchDriverTest, StreamsDecodeTogetherInThePlannedRoom) {
  SetLogVerbosity(0);
  BenchOptions options;
  options.prompt = 100;
  options.answer = 5;
  options.streams = {1, 6};
  options.depths = {40, 300};
  const int blocks = static_cast<int>(PoolTokens(options) / kKvBlockTokens);
  auto made = std::make_unique<test::FakeRunner>(std::vector<int>{0}, std::vector<int>{blocks});
  test::FakeRunner& runner = *made;
  runner.apart = GetParam();
  EngineConfig config;
  config.kv_groups = {{0, blocks}};
  config.max_request_tokens = PoolTokens(options);
  config.max_batch_tokens = 64;
  const TickingClock clock;
  auto engine = Engine::Create(config, std::move(made), &clock);
  ASSERT_TRUE(engine.has_value());
  BenchDriver driver(**engine, clock, test::kVocab);
  ASSERT_TRUE(driver.WarmUp().has_value());
  for (const BenchTest& test : PlanTests(options)) {
    runner.most_sequences = 0;
    const int64_t before = runner.tokens_computed;
    const auto rates = driver.Run(test, options);
    ASSERT_TRUE(rates.has_value()) << rates.error().message;
    EXPECT_EQ(rates->size(), 3u);
    for (double rate : *rates) EXPECT_GT(rate, 0);
    EXPECT_EQ(runner.most_sequences, test.streams);
    EXPECT_EQ((*engine)->Stats().cached_prompt_tokens, 0);
    const int64_t least = test.kind == Kind::kPrefill
                              ? 3 * options.prompt
                              : test.streams * (test.depth + 3 * options.answer);
    EXPECT_GE(runner.tokens_computed - before, least);
    EXPECT_TRUE((*engine)->idle());
  }
  EXPECT_EQ(runner.complaint, "");
}

INSTANTIATE_TEST_SUITE_P(Devices, BenchDriverTest, testing::Bool());

TEST(BenchReport, JsonSaysWhatTheTableShows) {
  BenchReport report;
  report.model = "m \"x\".gguf";
  report.walls = {24, 900, "how", 200};
  report.load_seconds = 2;
  report.file_bytes = int64_t{100} << 20;
  report.kv_bytes = int64_t{10} << 20;
  report.peak_bytes = int64_t{130} << 20;
  report.rows = {{{Kind::kDecode, 8, 128}, {30, 10, 20}, {40, "memory"}}};
  std::istringstream lines(JsonOf(report));
  std::vector<boost::json::object> objects;
  for (std::string line; std::getline(lines, line);) {
    objects.push_back(boost::json::parse(line).as_object());
  }
  ASSERT_EQ(objects.size(), 3u);
  EXPECT_EQ(objects[0]["model"], "m \"x\".gguf");
  EXPECT_EQ(objects[1]["peak_bytes"], int64_t{130} << 20);
  EXPECT_EQ(objects[2]["streams"], 8);
  EXPECT_EQ(objects[2]["tokens_per_second"].to_number<double>(), 20);
  EXPECT_EQ(objects[2]["min"].to_number<double>(), 10);
  EXPECT_EQ(objects[2]["fraction"].to_number<double>(), 0.5);
  const std::string table = TableOf(report);
  EXPECT_NE(table.find("beyond these 20"), std::string::npos) << table;
  EXPECT_NE(table.find("20.0"), std::string::npos) << table;
}

TEST(SystemInfo, ThisProcessHasMemory) { EXPECT_GT(PeakMemory(), 1 << 20); }

}  // namespace
}  // namespace lb::app

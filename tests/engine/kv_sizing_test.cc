// Proves the arithmetic of -c, --kv-memory, -ctk and -ctv on a model whose numbers are known by
// hand, and that what cannot work is refused with the numbers.
#include "engine/kv_sizing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb {
namespace {

using testing::HasSubstr;

// 28 layers, 2 kv heads of 128: the 1.5B Qwen.
ModelConfig Qwen() {
  ModelConfig m;
  m.num_layers = 28;
  m.num_kv_heads.assign(28, 2);
  m.k_dim = m.v_dim = 128;
  m.context_length = 32768;
  m.kv_groups = {{0, {}}};
  return m;
}

KvSizing Ctx(int64_t tokens) { return {tokens, 0, {}}; }
KvSizing Memory(int64_t bytes) { return {0, bytes, {}}; }

TEST(KvSizingTest, BytesPerToken) {
  EXPECT_EQ(BytesPerToken(Qwen(), {}), 28672);
  EXPECT_EQ(BytesPerToken(Qwen(), {DType::kBF16, DType::kBF16}), 28672);
  EXPECT_EQ(BytesPerToken(Qwen(), {DType::kF32, DType::kF16}), 43008);
  EXPECT_EQ(BytesPerToken(Qwen(), {DType::kQ8_0, DType::kQ8_0}), 15232);
  EXPECT_EQ(BytesPerToken(Qwen(), {DType::kQ4_0, DType::kQ4_0}), 8064);
}

TEST(KvSizingTest, TheTierOnTheHostHasWholeBlocksThatFit) {
  const KvPlan plan = PlanKv(Qwen(), Ctx(8192)).value();
  const HostTierPlan tier = PlanHostTier(plan, int64_t{1} << 30, int64_t{2} << 30).value();
  EXPECT_EQ(tier.slots, 2340);  // of 16 * 28672 bytes
  EXPECT_EQ(tier.bytes, int64_t{2340} * 16 * 28672);
  EXPECT_THAT(tier.summary, HasSubstr("37440 tokens in 2340 blocks, 1023.8 MiB"));
  EXPECT_EQ(PlanHostTier(plan, int64_t{1} << 30, 0)->slots, 2340);
  EXPECT_EQ(PlanHostTier(plan, 16 * 28672, 0)->slots, 1);
  EXPECT_THAT(PlanHostTier(plan, 16 * 28672 - 1, 0).error().message, HasSubstr("takes 458752 bytes"));
  const auto large = PlanHostTier(plan, int64_t{3} << 30, int64_t{2} << 30);
  ASSERT_FALSE(large.has_value());
  EXPECT_THAT(large.error().message, HasSubstr("3072.0 MiB"));
  EXPECT_THAT(large.error().message, HasSubstr("2048.0 MiB left: that is 74896 tokens instead of 112336"));
}

TEST(KvSizingTest, CtxSizeIsThePoolAndTheLongestRequest) {
  const KvPlan plan = PlanKv(Qwen(), Ctx(8192)).value();
  EXPECT_EQ(plan.pool_tokens, 8192);
  EXPECT_EQ(plan.max_request_tokens, 8192);
  EXPECT_EQ(plan.pool_bytes, 8192 * 28672);
  EXPECT_EQ(plan.groups[0].num_blocks, 512);
  EXPECT_EQ(plan.warning, "");
  EXPECT_THAT(plan.summary, HasSubstr("8192 tokens in 512 blocks"));
  EXPECT_THAT(plan.summary, HasSubstr("224.0 MiB"));
  // Not a whole number of blocks: rounded up, the request is what was asked for.
  const KvPlan odd = PlanKv(Qwen(), Ctx(1000)).value();
  EXPECT_EQ(odd.pool_tokens, 1008);
  EXPECT_EQ(odd.max_request_tokens, 1000);
}

TEST(KvSizingTest, BeyondTheTrainedLengthOneWarningHasBothNumbers) {
  const KvPlan plan = PlanKv(Qwen(), Ctx(65536)).value();
  EXPECT_EQ(plan.pool_tokens, 65536);
  EXPECT_EQ(plan.max_request_tokens, 32768);
  EXPECT_THAT(plan.warning, HasSubstr("65536"));
  EXPECT_THAT(plan.warning, HasSubstr("32768"));
}

TEST(KvSizingTest, MemoryIsNeverExceeded) {
  for (int64_t mib : {1, 10, 100, 1000, 4000}) {
    const KvPlan plan = PlanKv(Qwen(), Memory(mib << 20)).value();
    EXPECT_LE(plan.pool_bytes, mib << 20);
    EXPECT_GT(plan.pool_bytes + 16 * 28672, mib << 20);
    EXPECT_EQ(plan.max_request_tokens, std::min<int64_t>(32768, plan.pool_tokens));
  }
}

TEST(KvSizingTest, RefusesWithTheArithmetic) {
  const auto none = PlanKv(Qwen(), Memory(100000));
  ASSERT_FALSE(none.has_value());
  EXPECT_THAT(none.error().message, HasSubstr("28672"));
  ModelConfig odd = Qwen();
  odd.k_dim = 80;
  const auto q8 = PlanKv(odd, {512, 0, {DType::kQ8_0, DType::kF16}});
  ASSERT_FALSE(q8.has_value());
  EXPECT_THAT(q8.error().message, HasSubstr("-ctk"));
  EXPECT_THAT(q8.error().message, HasSubstr("80"));
  EXPECT_EQ(ParseKvDType("-ctk", "Q8_0").value(), DType::kQ8_0);
  EXPECT_EQ(ParseKvDType("-ctk", "fp8").value(), DType::kFP8E4M3);
  EXPECT_EQ(ParseKvDType("-ctk", "fp8_e4m3").value(), DType::kFP8E4M3);
  EXPECT_THAT(ParseKvDType("-ctk", "q6_K").error().message, HasSubstr("-ctk q6_K"));
}

// Gemma 3 270M: 18 layers of one kv head of 256, 15 of them with a window of 512.
ModelConfig Gemma() {
  ModelConfig m;
  m.num_layers = 18;
  m.num_kv_heads.assign(18, 1);
  m.k_dim = m.v_dim = 256;
  m.context_length = 32768;
  m.kv_groups = {{512, {}}, {0, {}}};
  return m;
}

TEST(KvSizingTest, EveryTypeAndEveryGroupIsInTheArithmetic) {
  struct Case {
    DType dtype;
    int64_t qwen, gemma;  // bytes of one token, by hand
  };
  for (const auto& [dtype, qwen, gemma] : {Case{DType::kF32, 28 * 2 * 2 * 512, 18 * 2 * 1024},
                                           Case{DType::kF16, 28 * 2 * 2 * 256, 18 * 2 * 512},
                                           Case{DType::kBF16, 28 * 2 * 2 * 256, 18 * 2 * 512},
                                           Case{DType::kQ8_0, 28 * 2 * 2 * 136, 18 * 2 * 272},
                                           Case{DType::kQ4_0, 28 * 2 * 2 * 72, 18 * 2 * 144}}) {
    for (const auto& [model, bytes] : {std::pair{Qwen(), qwen}, std::pair{Gemma(), gemma}}) {
      KvSizing sizing = {4096, 0, {dtype, dtype}, 4096 * bytes};
      const auto fits = PlanKv(model, sizing);
      ASSERT_TRUE(fits.has_value()) << fits.error().message;
      EXPECT_EQ(fits->pool_bytes, 4096 * bytes);
      for (const kv::KvGroupConfig& group : fits->groups) EXPECT_EQ(group.num_blocks, 256);
      // One byte less than it takes, of the machine or of what was allowed.
      sizing.available_bytes -= 1;
      const std::string machine = PlanKv(model, sizing).error().message;
      EXPECT_THAT(machine, HasSubstr(fmt::format("4096 tokens of {} bytes", bytes)));
      EXPECT_THAT(machine, HasSubstr("this machine has"));
      EXPECT_THAT(machine, HasSubstr("which is 4080 tokens"));
      sizing = {4096, 4096 * bytes, {dtype, dtype}, 0};
      EXPECT_TRUE(PlanKv(model, sizing).has_value());
      sizing.memory_bytes -= 1;
      EXPECT_THAT(PlanKv(model, sizing).error().message, HasSubstr("--kv-memory allows"));
      // From memory: never more than was allowed, and never less than a block below it.
      const KvPlan plan = PlanKv(model, {0, 1000 * bytes, {dtype, dtype}, 0}).value();
      EXPECT_EQ(plan.pool_tokens, 992);
      EXPECT_EQ(plan.max_request_tokens, 992);
    }
  }
}

TEST(KvSizingTest, AutomaticIsHalfOfWhatThereIsAndNoMoreThanIsOfUse) {
  const int64_t full = int64_t{32768} * 28672;
  EXPECT_EQ(PlanKv(Qwen(), {0, 0, {}, full}).value().pool_tokens, 16384);
  EXPECT_EQ(PlanKv(Qwen(), {0, 0, {}, full * 1000}).value().pool_tokens, 16 * 32768);
  EXPECT_EQ(PlanKv(Qwen(), {0, 0, {}, 0}).value().pool_tokens, 32768);
  EXPECT_THAT(PlanKv(Qwen(), {0, 0, {}, 800000}).error().message, HasSubstr("half of the 0.8 MiB"));
}

TEST(KvSizingTest, APoolBelowABlockOrBeyondCountingIsRefused) {
  EXPECT_THAT(PlanKv(Qwen(), Ctx(1)).error().message, HasSubstr("a request may have 1"));
  EXPECT_TRUE(PlanKv(Qwen(), Ctx(2)).has_value());
  EXPECT_THAT(PlanKv(Qwen(), Ctx(int64_t{1} << 32)).error().message, HasSubstr("2147483647"));
}

TEST(KvSizingTest, AWindowAsWideAsThePoolIsNone) {
  ModelConfig m = Qwen();
  m.kv_groups = {{512, {}}, {0, {}}};
  const KvPlan small = PlanKv(m, Ctx(512)).value();
  EXPECT_EQ(small.groups[0].window, 0);
  const KvPlan large = PlanKv(m, Ctx(4096)).value();
  EXPECT_EQ(large.groups[0].window, 512);
  EXPECT_EQ(large.groups[0].num_blocks, 256);
  EXPECT_EQ(large.groups[1].num_blocks, 256);
}

}  // namespace
}  // namespace lb

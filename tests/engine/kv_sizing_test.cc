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
  EXPECT_THAT(ParseKvDType("-ctk", "q6_K").error().message, HasSubstr("-ctk q6_K"));
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

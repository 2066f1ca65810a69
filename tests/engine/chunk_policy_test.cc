// Proves that prompt chunks follow the measured costs: small beside streams, bounded in time alone.
#include "engine/chunk_policy.h"

#include <gtest/gtest.h>

namespace lb {
namespace {

TEST(ChunkPolicyTest, StartsCarefully) {
  const ChunkPolicy policy(2048, 4.0, 500);
  EXPECT_EQ(policy.Limit(0), 64);
  EXPECT_EQ(policy.Limit(3), 64);
  EXPECT_EQ(ChunkPolicy(8, 4.0, 500).Limit(3), 8);
}

TEST(ChunkPolicyTest, AStepBesideStreamsTakesAtMostFourTimesAsLong) {
  ChunkPolicy policy(2048, 4.0, 500);
  for (int i = 0; i < 100; ++i) policy.Observe(3, 0, 12'000);            // 12 ms to decode
  for (int i = 0; i < 100; ++i) policy.Observe(3, 64, 12'000 + 64'000);  // 1 ms a prompt token
  EXPECT_EQ(policy.Limit(3), 36);
  EXPECT_EQ(policy.Limit(0), 500);
}

TEST(ChunkPolicyTest, SlowModelsStillGetOn) {
  ChunkPolicy policy(2048, 4.0, 500);
  policy.Observe(1, 0, 30'000);
  for (int i = 0; i < 100; ++i) policy.Observe(0, 64, 64 * 20'000);  // 50 tokens a second
  EXPECT_EQ(policy.Limit(1), 16);
  EXPECT_EQ(policy.Limit(0), 64);
}

TEST(ChunkPolicyTest, FastOnesAreNotHeldBack) {
  ChunkPolicy policy(2048, 4.0, 500);
  policy.Observe(8, 0, 2'000);
  for (int i = 0; i < 100; ++i) policy.Observe(0, 2048, 2048 * 7);
  EXPECT_EQ(policy.Limit(8), 768) << "857 in whole multiples of 256";
  EXPECT_EQ(policy.Limit(0), 2048);
}

}  // namespace
}  // namespace lb

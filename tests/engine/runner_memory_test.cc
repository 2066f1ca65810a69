// Proves that a runner which cannot have its memory says what it was for and how much, whichever of
// its allocations fails, gives back what it had, and that the next try succeeds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/model_runner.h"
#include "kernels/ref/ref_ops.h"

namespace lb {
namespace {

class TwoLayers final : public Model {
 public:
  TwoLayers() {
    config_.num_layers = 2;
    config_.num_kv_heads = {1, 1};
    config_.k_dim = config_.v_dim = 32;
    config_.vocab_size = 100;
    config_.kv_groups = {{0, {0}}, {64, {1}}};
  }
  void Forward(Ops&, const ForwardBatch&, KvLayers, Arena&, const ForwardOutput&) const override {}
  size_t ArenaBytes(int, int) const override { return size_t{3} << 20; }
};

// Memory for `left` allocations, and then none. Counts what is out.
class ScarceOps final : public RefOps {
 public:
  Result<DeviceMemory> Allocate(size_t bytes) override {
    if (left-- == 0) return Fail(ErrorCode::kOutOfMemory, "none left");
    LB_ASSIGN_OR_RETURN(DeviceMemory memory, RefOps::Allocate(bytes));
    ++out;
    // The memory itself is freed at once: nobody computes here.
    return DeviceMemory(new char, [](void* p) {
      delete static_cast<char*>(p);
      --out;
    });
  }
  int left = 0;
  static inline int out = 0;
};

TEST(RunnerMemoryTest, AnyAllocationMayFail) {
  TwoLayers model;
  ScarceOps ops;
  RunnerConfig config;
  config.group_blocks = {4, 4};
  const char* words[] = {"keys", "values", "keys", "values", "3.0 MiB for activations", "logits"};
  for (int i = 0; i < 6; ++i) {
    ops.left = i;
    const auto runner = MakeModelRunner(model, ops, config);
    ASSERT_FALSE(runner.has_value()) << i;
    EXPECT_EQ(runner.error().code, ErrorCode::kOutOfMemory);
    EXPECT_THAT(runner.error().message, testing::HasSubstr(words[i]));
    EXPECT_EQ(ScarceOps::out, 0);
  }
  ops.left = 6;
  EXPECT_TRUE(MakeModelRunner(model, ops, config).has_value());
  EXPECT_EQ(ScarceOps::out, 0);
}

}  // namespace
}  // namespace lb

// Proves that blocks go to pinned host memory and come back byte for byte, in the order asked for and without a wait between; and that
// a prompt which comes back from there has the answer that it has when it is computed.
#include "tests/cuda/device_tensors.h"
#include "tests/engine/tiered_engine.h"
#include "tests/kernels/kv_move_body.h"

namespace lb {
namespace {

TEST(CudaKvMove, BlocksGoOutAndComeBack) { test::ExpectBlocksMove(Gpu()); }

// Deterministic: else the chunks that a prompt is computed in show in the last bits.
TEST(CudaKvMove, AReloadedPromptIsAsComputed) {
  for (const DType dtype : {DType::kF16, DType::kQ8_0}) {
    for (const char* arch : {"llama", "gemma3"}) test::ExpectReloadedIsAsComputed(Gpu(true), dtype, arch);
  }
}

TEST(CudaKvMove, ATierThatCannotBeHadIsToldApart) {
  const auto memory = Gpu().AllocateHost(size_t{1} << 50);
  ASSERT_FALSE(memory.has_value());
  EXPECT_EQ(memory.error().code, ErrorCode::kOutOfMemory);
}

}  // namespace
}  // namespace lb

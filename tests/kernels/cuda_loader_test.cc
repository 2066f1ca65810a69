// Proves that a machine without a GPU is told why, and that nothing worse happens there.
#include "kernels/cuda_loader.h"

#include <gtest/gtest.h>

namespace lb {
namespace {

TEST(CudaLoader, SaysWhyThereIsNoDevice) {
  std::string why;
  const auto devices = CudaDevices(&why);
  EXPECT_EQ(devices.empty(), !why.empty()) << why;
  CudaOptions options;
  options.device = 4096;
  const auto ops = MakeCudaOps(options);
  ASSERT_FALSE(ops.has_value());
  EXPECT_EQ(ops.error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(ops.error().message.empty());
}

}  // namespace
}  // namespace lb

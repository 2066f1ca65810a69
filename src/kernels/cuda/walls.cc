// What the device reaches at most: a large copy, and a large product by the library.
#include <algorithm>
#include <vector>

#include "kernels/cuda/cuda_ops.h"

namespace lb::cuda {
namespace {

// Seconds of the fastest of a few runs, by the device's clock.
template <typename F>
double Fastest(cudaStream_t stream, const F& run) {
  cudaEvent_t begin, end;
  LB_CUDA_CHECK(cudaEventCreate(&begin));
  LB_CUDA_CHECK(cudaEventCreate(&end));
  float least = 1e9f;
  for (int i = 0; i < 8; ++i) {
    LB_CUDA_CHECK(cudaEventRecord(begin, stream));
    run();
    LB_CUDA_CHECK(cudaEventRecord(end, stream));
    LB_CUDA_CHECK(cudaEventSynchronize(end));
    float ms = 0;
    LB_CUDA_CHECK(cudaEventElapsedTime(&ms, begin, end));
    least = std::min(least, ms);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return static_cast<double>(least) * 1e-3;
}

}  // namespace

Ops::DeviceWalls CudaOps::MeasureWalls() {
  constexpr size_t kBytes = size_t{1} << 30;
  constexpr int kSide = 8192;
  Bind();
  DeviceWalls walls;
  auto from = Allocate(kBytes), to = Allocate(kBytes);
  if (!from.has_value() || !to.has_value()) return walls;
  const double copy = Fastest(launcher_.stream, [&] {
    LB_CUDA_CHECK(cudaMemcpyAsync(to->get(), from->get(), kBytes, cudaMemcpyDeviceToDevice, launcher_.stream));
  });
  walls.read_gbs = 2.0 * kBytes / copy * 1e-9;
  // Numbers without a pattern: products of zeros run faster than any others.
  std::vector<uint16_t> values(size_t{kSide} * kSide);
  uint32_t state = 1;
  for (uint16_t& v : values) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<uint16_t>((state >> 16 & 0x83ff) | 0x3800);
  }
  CopyBytes(values.data(), from->get(), values.size() * 2);
  LibraryProduct::Args args;
  args.w = args.x = from->get();
  args.y = to->get();
  args.rows = args.cols = args.tokens = kSide;
  bool ran = true;
  const double product = Fastest(launcher_.stream, [&] { ran &= library_.Run(launcher_, args); });
  if (ran) walls.product_gflops = 2.0 * kSide * kSide * kSide / product * 1e-9;
  return walls;
}

}  // namespace lb::cuda

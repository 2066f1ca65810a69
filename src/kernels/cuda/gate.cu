#include "kernels/cuda/gate.h"

#include <algorithm>
#include <atomic>

#include "kernels/cuda/kernel_launch.cuh"

namespace lb::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMostBlocks = 16;

// All in memory of the host, which is read across the bus.
__global__ void __launch_bounds__(kThreads) GateKernel(const uint32_t* opened, uint32_t number, const uint4* from, uint4* to, int count) {
  if (threadIdx.x == 0) {
    uint32_t now;
    do {
      asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(now) : "l"(opened) : "memory");
    } while (static_cast<int32_t>(now - number) < 0);
  }
  __syncthreads();
  for (int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(gridDim.x) * kThreads) {
    to[i] = __ldcv(from + i);
  }
}

}  // namespace

Gate::Gate() {
  for (int32_t*& arrays : arrays_) LB_CUDA_CHECK(cudaMallocHost(reinterpret_cast<void**>(&arrays), kInts * sizeof(int32_t)));
  LB_CUDA_CHECK(cudaMallocHost(reinterpret_cast<void**>(&opened_), sizeof(uint32_t)));
  *opened_ = 0;
}

Gate::~Gate() {
  for (int32_t* arrays : arrays_) cudaFreeHost(arrays);
  cudaFreeHost(opened_);
}

int32_t* Gate::NextArrays() { return arrays_[which_ ^= 1]; }

void Gate::Queue(const Launcher& on, int32_t* to, size_t count) {
  const int pieces = static_cast<int>((count + 3) / 4);  // arrays end on 16 bytes (Staging)
  const int blocks = std::clamp((pieces + kThreads - 1) / kThreads, 1, kMostBlocks);
  LaunchKernel(on, GateKernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, opened_, ++queued_,
               reinterpret_cast<const uint4*>(arrays_[which_]), reinterpret_cast<uint4*>(to), pieces);
}

void Gate::Open() { std::atomic_ref(*opened_).store(queued_, std::memory_order_release); }

}  // namespace lb::cuda

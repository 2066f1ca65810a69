// Launching a kernel so that it may begin while the one before ends (programmatic dependent launch).
#pragma once

#include "kernels/cuda/launch.h"

namespace lb::cuda {

template <typename... Params, typename... Args>
void LaunchKernel(const Launcher& on, void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared,
                  Args&&... args) {
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = on.stream;
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &attribute;
  config.numAttrs = on.facts.dependent_launch ? 1 : 0;
  LB_CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, Params(args)...));
}

// Gives most of a multiprocessor's memory to shared memory while the kernel runs, and the rest to the first-level cache, which the loads
// under way need: the same for all kernels of a step of few tokens, so that blocks of the next have room beside those of the one before.
template <typename... Params>
void PreferShared(void (*kernel)(Params...)) {
  constexpr int kPercent = 72;
  LB_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, kPercent));
}

// Lets a kernel have `bytes` of shared memory beside what it declares: 48 KiB for both is what it has unasked.
template <typename... Params>
void AllowShared(void (*kernel)(Params...), size_t bytes) {
  if (bytes > 32 * 1024) {
    LB_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)));
  }
}

}  // namespace lb::cuda

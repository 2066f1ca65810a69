// What host code of the CUDA backend shares: checked calls, and what this GPU is.
#pragma once

#include <cuda_runtime.h>

namespace lb::cuda {

// Logs what failed, and ends the process: the device is broken, or we are.
[[noreturn]] void DieOfCuda(cudaError_t error, const char* call, const char* file, int line);

#define LB_CUDA_CHECK(call)                                                                 \
  do {                                                                                      \
    const cudaError_t lb_error_ = (call);                                                   \
    if (lb_error_ != cudaSuccess) ::lb::cuda::DieOfCuda(lb_error_, #call, __FILE__, __LINE__); \
  } while (false)

struct DeviceFacts {
  int index = 0;
  int num_sms = 0;
  int shared_per_block = 0;       // bytes a block may have at most
  bool dependent_launch = false;  // compute capability 9.0 and up
};

}  // namespace lb::cuda

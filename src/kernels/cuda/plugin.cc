#include "kernels/cuda/plugin.h"

#include <cuda_runtime.h>

#include "kernels/cuda/cuda_ops.h"

namespace lb {
namespace {

std::vector<CudaDevice> Devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) return {};
  std::vector<CudaDevice> devices;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    if (properties.major < 8) continue;  // no asynchronous copies, no bf16: not built for
    CudaDevice device;
    device.index = i;
    device.name = properties.name;
    device.total_bytes = static_cast<int64_t>(properties.totalGlobalMem);
    devices.push_back(std::move(device));
  }
  return devices;
}

int64_t FreeBytes(int device) {
  size_t free = 0, total = 0;
  if (cudaSetDevice(device) != cudaSuccess || cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  return static_cast<int64_t>(free);
}

constexpr CudaPlugin kPlugin = {kCudaPluginVersion, Devices, FreeBytes, cuda::CudaOps::Create};

}  // namespace
}  // namespace lb

extern "C" __attribute__((visibility("default"))) const lb::CudaPlugin* LlamaBoxCudaPlugin() { return &lb::kPlugin; }

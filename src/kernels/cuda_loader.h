// Opens the CUDA backend, which is a library of its own so that the program runs where there is no
// CUDA. The only part of it that the program links.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/plugin.h"

namespace lb {

// The GPUs that the backend can use; empty when the library, the driver or a fit device is missing, and then
// `why` (may be null) says which.
std::vector<CudaDevice> CudaDevices(std::string* why = nullptr);

// What a device of CudaDevices has free now; 0: it cannot be used. From then on this process holds half a GiB of it, so that only a device that
// will be used should be asked.
int64_t CudaFreeBytes(const CudaDevice& device);

// kUnsupported when there is no library or no such device.
Result<std::unique_ptr<Ops>> MakeCudaOps(const CudaOptions& options);

}  // namespace lb

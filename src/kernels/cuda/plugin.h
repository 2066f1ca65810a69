// The face of libllama-box-cuda.so: what the program finds when it opens the library.
#pragma once

#include <climits>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernels/ops.h"

namespace lb {

struct CudaOptions {
  int device = 0;
  // The matrices of layers from this one on, and the embedding table, stay in host memory (pinned), where kernels read them over the bus.
  int layers = INT_MAX;
  bool deterministic = false;   // every product and attention by the kernels of one fixed order
};

struct CudaDevice {
  int index = 0;
  std::string name;
  int64_t total_bytes = 0;
};

inline constexpr int kCudaPluginVersion = 3;  // of this struct and of kernels/ops.h

// Built by the same compiler as the program, from the same sources: C++ types cross the border.
struct CudaPlugin {
  int version;
  std::vector<CudaDevice> (*devices)();  // empty: no driver, no device
  int64_t (*free_bytes)(int device);
  Result<std::unique_ptr<Ops>> (*make_ops)(const CudaOptions&);
};
using CudaPluginEntry = const CudaPlugin* (*)();
inline constexpr char kCudaPluginEntry[] = "LlamaBoxCudaPlugin";

}  // namespace lb

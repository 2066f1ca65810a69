// Which GPUs compute, and how a model's layers are shared among them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/gpu_flags.h"
#include "base/result.h"
#include "kernels/cuda_loader.h"

namespace lb::app {

// The shares that --tensor-split gives, device by device: numbers of at least 0 with "," or "/" between, one of them more than 0.
Result<std::vector<double>> ParseShares(std::string_view text);

// How many of `num_layers` layers each device gets, in order, so that the first n devices have what their shares are of all, rounded. A
// device may get none.
std::vector<int> ShareLayers(std::span<const double> shares, int num_layers);

// Beside weights and KV: the library's own memory, activations and logits.
inline constexpr int64_t kBesideWeights = int64_t{1} << 30;

// A device that may compute, and what it has free, bytes.
struct Candidate {
  const CudaDevice* device = nullptr;
  int64_t free = 0;
};
std::string NamesOf(std::span<const Candidate> devices);

struct ModelSize {
  int64_t bytes = 0;
  int layers = 0;
};
// Those of `devices`, at least one, that are to share a model: the one that flags name or the first where that is enough, all
// (that flags name) when it is too small for all layers that are wanted, or when flags say so. Only a device that is considered is asked for
// its free bytes, since that takes some of them. kInvalidArgument for a device that is not there.
Result<std::vector<Candidate>> ChooseDevices(const GpuOptions& gpu, const std::vector<CudaDevice>& devices, const ModelSize& model,
                                             const std::function<int64_t(const CudaDevice&)>& free_bytes);

// Layers for each of `devices`, from which those that get none are taken out.
std::vector<int> ShareAmong(const GpuOptions& gpu, std::vector<Candidate>* devices, int num_layers);

}  // namespace lb::app

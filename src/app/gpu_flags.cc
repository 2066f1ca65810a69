#include "app/gpu_flags.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "base/log.h"
#include "kernels/cuda_loader.h"

namespace lb::app {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
// Beside weights and KV: the library's own memory, activations and logits.
constexpr int64_t kBesideWeights = int64_t{1} << 30;

std::string Names(const std::vector<CudaDevice>& devices) {
  std::string names;
  for (const CudaDevice& d : devices) names += fmt::format("{}CUDA{} ({})", names.empty() ? "" : ", ", d.index, d.name);
  return names.empty() ? "none" : names;
}

// The device that --device or --main-gpu names.
Result<const CudaDevice*> DeviceOf(const GpuOptions& gpu, const std::vector<CudaDevice>& devices) {
  int index = gpu.main_gpu;
  if (!gpu.device.empty()) {
    const std::string first = gpu.device.substr(0, gpu.device.find(','));
    const char* end = first.data() + first.size();
    if (!first.starts_with("CUDA") || std::from_chars(first.data() + 4, end, index).ptr != end) {
      return Fail(ErrorCode::kInvalidArgument, "--device {}: devices here are {}; \"none\" is the CPU", gpu.device, Names(devices));
    }
  }
  for (const CudaDevice& d : devices) {
    if (d.index == index) return &d;
  }
  return Fail(ErrorCode::kInvalidArgument, "there is no device CUDA{}: devices here are {}", index, Names(devices));
}

}  // namespace

void AddGpuFlags(CLI::App& app, GpuOptions* gpu) {
  const char* group = "Compute";
  app.add_option_function<std::string>(
         "--gpu-layers,--n-gpu-layers",
         [gpu](const std::string& text) {
           if (text == "auto" || text == "all") {
             gpu->layers = text == "auto" ? -1 : 1 << 20;
           } else {
             gpu->layers = std::max(-1, std::stoi(text));
           }
         },
         "Layers on the GPU (-ngl): 0 none, all, or auto: all when there is a GPU with room for them")
      ->check([](const std::string& text) {
        int n = 0;
        const char* end = text.data() + text.size();
        const auto [rest, ec] = std::from_chars(text.data(), end, n);
        return text == "auto" || text == "all" || (ec == std::errc() && rest == end) ? "" : text + " is no number of layers, auto or all";
      })
      ->group(group);
  app.add_option("--device", gpu->device, "Where to compute (-dev): CUDA0, CUDA1, ... or none for the CPU")->group(group);
  app.add_option("--main-gpu", gpu->main_gpu, "The number of the GPU to use (-mg)")->check(CLI::Range(0, 1023))->group(group);
  app.add_flag("--deterministic", gpu->deterministic, "On a GPU: the same bytes for a prompt whatever runs beside it (always so on the CPU)")->group(group);
}

Result<std::unique_ptr<Ops>> ChooseOps(const GpuOptions& gpu, const CpuOptions& cpu, const gguf::GgufFile& file,
                                       const ModelConfig& model) {
  if (cpu.isa == "ref") return MakeRefOps();
  const bool asked = gpu.layers > 0 || (!gpu.device.empty() && gpu.device != "none");
  if (gpu.layers == 0 || gpu.device == "none" || (!cpu.isa.empty() && !asked)) return MakeCpuOps(cpu);
  std::string why;
  const std::vector<CudaDevice> devices = CudaDevices(&why);
  if (devices.empty()) {
    if (asked) LogWarning("no GPU is used, all {} layers are on the CPU: {}", model.num_layers, why);
    return MakeCpuOps(cpu);
  }
  LB_ASSIGN_OR_RETURN(const CudaDevice* device, DeviceOf(gpu, devices));
  if (gpu.layers > 0 && gpu.layers < model.num_layers) {
    return Fail(ErrorCode::kInvalidArgument,
                "--gpu-layers {}: the model has {} layers, and a GPU takes all of them or none (0)", gpu.layers, model.num_layers);
  }
  const int64_t needed = file.file_bytes() + kBesideWeights;
  if (!asked && needed > device->free_bytes) {
    LogWarning("CUDA{} ({}) has {:.1f} GiB free and the model takes {:.1f}: all {} layers are on the CPU", device->index, device->name,
               static_cast<double>(device->free_bytes) / kGiB, static_cast<double>(needed) / kGiB, model.num_layers);
    return MakeCpuOps(cpu);
  }
  CudaOptions options;
  options.device = device->index;
  options.deterministic = gpu.deterministic;
  auto ops = MakeCudaOps(options);
  if (!ops.has_value() && !asked) {
    LogWarning("CUDA{} is not used: {}", device->index, ops.error().message);
    return MakeCpuOps(cpu);
  }
  if (ops.has_value()) {
    LogVerbose(1, "all {} layers on CUDA{} ({}, {:.1f} of {:.1f} GiB free)", model.num_layers, device->index, device->name,
               static_cast<double>(device->free_bytes) / kGiB, static_cast<double>(device->total_bytes) / kGiB);
  }
  return ops;
}

}  // namespace lb::app

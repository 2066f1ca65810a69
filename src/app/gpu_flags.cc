#include "app/gpu_flags.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "base/log.h"
#include "kernels/cuda_loader.h"
#include "model/weight_loader.h"

namespace lb::app {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
// Beside weights and KV: the library's own memory, activations and logits.
constexpr int64_t kBesideWeights = int64_t{1} << 30;
// Where weights do not fit, the KV pool still gets this part of the card.
constexpr int kPoolShare = 8;

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

double GiB(int64_t bytes) { return static_cast<double>(bytes) / kGiB; }

// The tensors of layer `layer`, in bytes.
int64_t LayerBytes(const gguf::GgufFile& file, int layer) {
  const std::string prefix = LayerName(layer, "");
  int64_t bytes = 0;
  for (const gguf::Tensor& t : file.tensors()) {
    if (t.name.starts_with(prefix)) bytes += t.view.num_bytes();
  }
  return bytes;
}

// -ngl for a model on `device`, which has `free` bytes free: how many layers' weights go to its memory. 0: the CPU computes.
int LayersFor(const GpuOptions& gpu, const CudaDevice& device, int64_t free, const gguf::GgufFile& file, int num_layers) {
  if (gpu.layers > 0) return std::min(gpu.layers, num_layers);
  const int64_t needed = file.file_bytes() + kBesideWeights;
  if (needed <= free) return num_layers;
  const int fit = LayersThatFit(file, num_layers, free - kBesideWeights - free / kPoolShare);
  // What is read over the bus is read slower than a CPU reads it: with less than half on the card the CPU is the better place.
  const bool gains = 2 * fit >= num_layers;
  LogWarning("CUDA{} ({}) has {:.1f} GiB free and the model takes {:.1f}: {}", device.index, device.name, GiB(free), GiB(needed),
             gains ? fmt::format("{} of {} layers fit", fit, num_layers)
                   : fmt::format("only {} of {} layers would fit, all are on the CPU", fit, num_layers));
  return gains ? fit : 0;
}

}  // namespace

int LayersThatFit(const gguf::GgufFile& file, int num_layers, int64_t room) {
  const auto on_card = [](int64_t bytes) { return bytes + bytes / 8; };
  int64_t all = 0;
  std::vector<int64_t> layers;
  for (int l = 0; l < num_layers; ++l) all += layers.emplace_back(LayerBytes(file, l));
  room -= on_card(file.file_bytes() - all);
  int fit = 0;
  while (fit < num_layers && (room -= on_card(layers[static_cast<size_t>(fit)])) >= 0) ++fit;
  return fit;
}

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
         "Layers in the GPU's memory (-ngl): 0 computes on the CPU; N: it reads the others' weights from the host's "
         "memory at every step; all; auto: as many as fit, if half do")
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
  const int64_t free = CudaFreeBytes(*device);
  const int layers = LayersFor(gpu, *device, free, file, model.num_layers);
  if (layers == 0) return MakeCpuOps(cpu);
  CudaOptions options;
  options.device = device->index;
  if (layers < model.num_layers) options.layers = layers;
  options.deterministic = gpu.deterministic;
  auto ops = MakeCudaOps(options);
  if (!ops.has_value() && !asked) {
    LogWarning("CUDA{} is not used: {}", device->index, ops.error().message);
    return MakeCpuOps(cpu);
  }
  if (ops.has_value()) {
    int64_t host = 0;
    for (int l = layers; l < model.num_layers; ++l) host += LayerBytes(file, l);
    const std::string what = layers == model.num_layers
                                 ? fmt::format("all {} layers", layers)
                                 : fmt::format("{} of {} layers, {:.1f} GiB of the others' weights are read from host memory,", layers, model.num_layers, GiB(host));
    LogVerbose(1, "{} on CUDA{} ({}, {:.1f} of {:.1f} GiB free)", what, device->index, device->name, GiB(free), GiB(device->total_bytes));
  }
  return ops;
}

}  // namespace lb::app

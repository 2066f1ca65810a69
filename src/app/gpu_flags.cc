#include "app/gpu_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <span>

#include "app/gpu_split.h"
#include "base/log.h"
#include "kernels/cuda_loader.h"
#include "kernels/split_ops.h"
#include "model/weight_loader.h"

namespace lb::app {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
// Where weights do not fit, the KV pool still gets this part of the card.
constexpr int kPoolShare = 8;

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

// -ngl for a model on `names`, `count` devices with `free` bytes free: how many layers' weights go to their memory. 0: the CPU computes.
int LayersFor(const GpuOptions& gpu, const std::string& names, int64_t free, size_t count, const gguf::GgufFile& file, int num_layers) {
  if (gpu.layers > 0) return std::min(gpu.layers, num_layers);
  const int64_t beside = static_cast<int64_t>(count) * kBesideWeights;
  const int64_t needed = file.file_bytes() + beside;
  if (needed <= free) return num_layers;
  const int fit = LayersThatFit(file, num_layers, free - beside - free / kPoolShare);
  // What is read over the bus is read slower than a CPU reads it: with less than half on the card the CPU is the better place.
  const bool gains = 2 * fit >= num_layers;
  LogWarning("{}: {:.1f} GiB free and the model takes {:.1f}: {}", names, GiB(free), GiB(needed),
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
  app.add_option("--device", gpu->device, "Where to compute (-dev): CUDA0, CUDA1, several as CUDA0,CUDA1, or none for the CPU")->group(group);
  app.add_option("--main-gpu", gpu->main_gpu, "The number of the GPU to use when one is enough (-mg)")->check(CLI::Range(0, 1023))->group(group);
  app.add_option("--split-mode", gpu->split_mode,
                 "Whether several GPUs share the layers (-sm): none, layer (row does the same); by default when one is too small")
      ->check(CLI::IsMember({"none", "layer", "row"}))
      ->group(group);
  app.add_option_function<std::string>(
         "--tensor-split", [gpu](const std::string& text) { gpu->shares = ParseShares(text).value(); },
         "What part of the layers each GPU gets (-ts), such as 3,1; by default as much as it has memory free")
      ->check([](const std::string& text) {
        const auto shares = ParseShares(text);
        return shares.has_value() ? std::string() : shares.error().message;
      })
      ->group(group);
  app.add_flag("--deterministic", gpu->deterministic, "On a GPU: the same bytes for a prompt whatever runs beside it (always so on the CPU)")->group(group);
}

namespace {

Result<std::unique_ptr<Ops>> MakeOps(const GpuOptions& gpu, std::span<const Candidate> devices, std::span<const int> shares, int layers,
                                     int num_layers) {
  std::vector<std::unique_ptr<Ops>> parts;
  std::vector<int> first_layers;
  for (size_t i = 0; i < devices.size(); ++i) {
    CudaOptions options;
    options.device = devices[i].device->index;
    if (layers < num_layers) options.layers = layers;
    options.deterministic = gpu.deterministic;
    LB_ASSIGN_OR_RETURN(auto part, MakeCudaOps(options));
    parts.push_back(std::move(part));
    first_layers.push_back(i == 0 ? 0 : first_layers.back() + shares[i - 1]);
  }
  if (parts.size() == 1) return std::move(parts.front());
  return std::unique_ptr<Ops>(std::make_unique<SplitOps>(std::move(parts), std::move(first_layers), num_layers));
}

}  // namespace

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
  LB_ASSIGN_OR_RETURN(std::vector<Candidate> chosen, ChooseDevices(gpu, devices, {file.file_bytes(), model.num_layers}, CudaFreeBytes));
  const std::vector<int> shares = ShareAmong(gpu, &chosen, model.num_layers);
  int64_t free = 0;
  for (const Candidate& c : chosen) free += c.free;
  const std::string names = NamesOf(chosen);
  const int layers = LayersFor(gpu, names, free, chosen.size(), file, model.num_layers);
  if (layers == 0) return MakeCpuOps(cpu);
  auto ops = MakeOps(gpu, chosen, shares, layers, model.num_layers);
  if (!ops.has_value() && !asked) {
    LogWarning("{} not used: {}", names, ops.error().message);
    return MakeCpuOps(cpu);
  }
  if (!ops.has_value()) return ops;
  if (gpu.split_mode == "row" && chosen.size() > 1) LogWarning("--split-mode row: a device has whole layers all the same");
  int64_t host = 0;
  for (int l = layers; l < model.num_layers; ++l) host += LayerBytes(file, l);
  if (host > 0) {
    LogVerbose(1, "{} of {} layers, {:.1f} GiB of the others' weights are read from host memory", layers, model.num_layers, GiB(host));
  }
  for (size_t i = 0; i < chosen.size(); ++i) {
    const CudaDevice& d = *chosen[i].device;
    LogVerbose(1, "{} layers on CUDA{} ({}, {:.1f} of {:.1f} GiB free)", chosen.size() == 1 ? "all" : std::to_string(shares[i]), d.index, d.name,
               GiB(chosen[i].free), GiB(d.total_bytes));
  }
  return ops;
}

}  // namespace lb::app

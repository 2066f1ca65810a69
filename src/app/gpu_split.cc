#include "app/gpu_split.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/log.h"

namespace lb::app {
namespace {

std::string Names(const std::vector<CudaDevice>& devices) {
  std::string names;
  for (const CudaDevice& d : devices) names += fmt::format("{}CUDA{} ({})", names.empty() ? "" : ", ", d.index, d.name);
  return names.empty() ? "none" : names;
}

Result<const CudaDevice*> DeviceNumbered(int index, const std::vector<CudaDevice>& devices) {
  for (const CudaDevice& d : devices) {
    if (d.index == index) return &d;
  }
  return Fail(ErrorCode::kInvalidArgument, "there is no device CUDA{}: devices here are {}", index, Names(devices));
}

// The devices that --device names.
Result<std::vector<Candidate>> DevicesNamed(const std::string& list, const std::vector<CudaDevice>& devices) {
  std::vector<Candidate> named;
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    const std::string name = list.substr(at, comma - at);
    at = comma + 1;
    int index = 0;
    const char* end = name.data() + name.size();
    if (!name.starts_with("CUDA") || std::from_chars(name.data() + 4, end, index).ptr != end) {
      return Fail(ErrorCode::kInvalidArgument, "--device {}: devices here are {}; \"none\" is the CPU", list, Names(devices));
    }
    LB_ASSIGN_OR_RETURN(const CudaDevice* device, DeviceNumbered(index, devices));
    const bool twice = std::ranges::find(named, device, &Candidate::device) != named.end();
    if (twice) return Fail(ErrorCode::kInvalidArgument, "--device {} names {} twice", list, name);
    named.push_back({device});
  }
  return named;
}

}  // namespace

Result<std::vector<double>> ParseShares(std::string_view text) {
  std::vector<double> shares;
  const char* at = text.data();
  const char* end = at + text.size();
  while (true) {
    double share = 0;
    const auto [rest, ec] = std::from_chars(at, end, share);
    const bool separated = rest == end || *rest == ',' || *rest == '/';
    if (ec != std::errc() || !separated || !(share >= 0) || !std::isfinite(share)) {
      return Fail(ErrorCode::kInvalidArgument, "--tensor-split {}: share {} is no number of at least 0", text, shares.size() + 1);
    }
    shares.push_back(share);
    if (rest == end) break;
    at = rest + 1;
  }
  if (std::accumulate(shares.begin(), shares.end(), 0.0) > 0) return shares;
  return Fail(ErrorCode::kInvalidArgument, "--tensor-split {}: no device gets anything", text);
}

std::vector<int> ShareLayers(std::span<const double> shares, int num_layers) {
  const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
  std::vector<int> layers;
  double before = 0;
  int given = 0;
  for (const double share : shares) {
    before += share;
    const int upto = static_cast<int>(std::lround(before / all * num_layers));
    layers.push_back(upto - given);
    given = upto;
  }
  return layers;
}

std::string NamesOf(std::span<const Candidate> devices) {
  std::string names;
  for (const Candidate& c : devices) names += fmt::format("{}CUDA{} ({})", names.empty() ? "" : " + ", c.device->index, c.device->name);
  return names;
}

Result<std::vector<Candidate>> ChooseDevices(const GpuOptions& gpu, const std::vector<CudaDevice>& devices, const ModelSize& model,
                                             const std::function<int64_t(const CudaDevice&)>& free_bytes) {
  std::vector<Candidate> candidates;
  if (gpu.device.empty()) {
    for (const CudaDevice& d : devices) candidates.push_back({&d});
  } else {
    LB_ASSIGN_OR_RETURN(candidates, DevicesNamed(gpu.device, devices));
  }
  Candidate main = candidates.front();
  if (gpu.device.empty()) {
    LB_ASSIGN_OR_RETURN(main.device, DeviceNumbered(gpu.main_gpu, devices));
  }
  main.free = free_bytes(*main.device);
  const bool asked = !gpu.shares.empty() || !gpu.split_mode.empty() || !gpu.device.empty();
  const bool whole = gpu.layers < 0 || gpu.layers >= model.layers;
  const bool small = whole && main.free < model.bytes + kBesideWeights;
  if (candidates.size() == 1 || gpu.split_mode == "none" || !(asked || small)) return std::vector<Candidate>{main};
  for (Candidate& c : candidates) c.free = c.device == main.device ? main.free : free_bytes(*c.device);
  return candidates;
}

std::vector<int> ShareAmong(const GpuOptions& gpu, std::vector<Candidate>* devices, int num_layers) {
  std::vector<double> shares = gpu.shares;
  if (shares.empty()) {
    for (const Candidate& c : *devices) shares.push_back(static_cast<double>(std::max<int64_t>(c.free, 1)));
  }
  if (shares.size() > devices->size()) {
    LogWarning("--tensor-split has {} shares, and there are {} devices to compute on: the first count", shares.size(), devices->size());
  }
  shares.resize(devices->size(), 0);
  if (std::ranges::all_of(shares, [](double share) { return share == 0; })) shares.assign(shares.size(), 1);
  std::vector<int> layers = ShareLayers(shares, num_layers);
  for (size_t i = layers.size(); i-- > 0;) {
    if (layers[i] > 0) continue;
    layers.erase(layers.begin() + static_cast<std::ptrdiff_t>(i));
    devices->erase(devices->begin() + static_cast<std::ptrdiff_t>(i));
  }
  return layers;
}

}  // namespace lb::app

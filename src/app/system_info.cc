#include "app/system_info.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <thread>

#include "base/system_memory.h"
#include "kernels/backends.h"
#include "kernels/cuda_loader.h"

namespace lb::app {
namespace {

// What follows `key` and a colon on its line in a file of /proc; "" when there is none.
std::string ValueOf(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

std::string BackendName() {
  CpuOptions options;
  options.threads.count = 1;
  const auto ops = MakeCpuOps(options);
  return ops.has_value() ? std::string((*ops)->name()) : ops.error().message;
}

}  // namespace

int64_t PeakMemory() {
  const std::string text = ValueOf("/proc/self/status", "VmHWM");  // "123456 kB"
  int64_t kib = 0;
  std::from_chars(text.data(), text.data() + text.size(), kib);
  return kib * 1024;
}

std::string ProcessorName() {
  const std::string name = ValueOf("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown" : name;
}

std::string SystemInfo() {
  return fmt::format(
      "llama-box {}\nprocessor: {}, {} hardware threads\nkernels: {}\nmemory: {:.1f} GiB available\n",
      LLAMABOX_VERSION, ProcessorName(), std::thread::hardware_concurrency(), BackendName(),
      static_cast<double>(AvailableMemory()) / (1024.0 * 1024.0 * 1024.0));
}

std::string ListDevices() {
  std::string list = "Available devices:\n";
  for (const CudaDevice& d : CudaDevices()) {
    constexpr double kMiB = 1024.0 * 1024.0;
    list += fmt::format("  CUDA{}: {} ({:.0f} MiB, {:.0f} MiB free)\n", d.index, d.name, static_cast<double>(d.total_bytes) / kMiB,
                        static_cast<double>(CudaFreeBytes(d)) / kMiB);
  }
  return list + fmt::format("  CPU: {} ({})\n", ProcessorName(), BackendName());
}

}  // namespace lb::app

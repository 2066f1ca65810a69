#include "app/system_info.h"

#include <fmt/format.h>

#include <fstream>
#include <thread>

#include "base/system_memory.h"
#include "kernels/backends.h"

namespace lb::app {
namespace {

// The first "model name" of /proc/cpuinfo, which Arm does not have.
std::string ProcessorName() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

std::string BackendName() {
  CpuOptions options;
  options.threads.count = 1;
  const auto ops = MakeCpuOps(options);
  return ops.has_value() ? std::string((*ops)->name()) : ops.error().message;
}

}  // namespace

std::string SystemInfo() {
  return fmt::format(
      "llama-box {}\nprocessor: {}, {} hardware threads\nkernels: {}\nmemory: {:.1f} GiB available\n",
      LLAMABOX_VERSION, ProcessorName(), std::thread::hardware_concurrency(), BackendName(),
      static_cast<double>(AvailableMemory()) / (1024.0 * 1024.0 * 1024.0));
}

std::string ListDevices() {
  return fmt::format("Available devices:\n  CPU: {} ({})\n", ProcessorName(), BackendName());
}

}  // namespace lb::app

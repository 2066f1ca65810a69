#include "kernels/cuda_loader.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

namespace lb {
namespace {

constexpr char kLibrary[] = "libllama-box-cuda.so";

struct Opened {
  const CudaPlugin* plugin = nullptr;
  std::string why;
};

// Beside the program, in ../lib beside it, or where the system's loader looks; LLAMABOX_CUDA_LIBRARY
// names another file. Never closed: it holds the device.
Opened Open() {
  Opened opened;
  std::vector<std::string> places;
  if (const char* file = std::getenv("LLAMABOX_CUDA_LIBRARY"); file != nullptr) {
    places = {file};
  } else {
    std::error_code ignored;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
    for (const char* at : {"", "../lib", "../lib/llama-box"}) {
      const auto path = program / at / kLibrary;
      if (std::filesystem::exists(path, ignored)) places.push_back(path.string());
    }
    places.push_back(kLibrary);
  }
  // Without a driver the library would be loaded, with all it depends on, for nothing.
  if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) == nullptr) {
    opened.why = "no NVIDIA driver (libcuda.so.1)";
    return opened;
  }
  void* library = nullptr;
  for (const std::string& place : places) {
    library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    // The first place counts: where the library is, but something it needs is not, that must be told.
    const std::string why = dlerror();
    if (opened.why.empty()) opened.why = why;
  }
  if (library == nullptr) return opened;
  const auto entry = reinterpret_cast<CudaPluginEntry>(dlsym(library, kCudaPluginEntry));
  const CudaPlugin* plugin = entry == nullptr ? nullptr : entry();
  if (plugin == nullptr || plugin->version != kCudaPluginVersion) {
    opened.why = std::string(kLibrary) + " is of another version";
    return opened;
  }
  opened.plugin = plugin;
  opened.why.clear();
  return opened;
}

const Opened& Plugin() {
  static const Opened opened = Open();
  return opened;
}

}  // namespace

std::vector<CudaDevice> CudaDevices(std::string* why) {
  const Opened& opened = Plugin();
  std::vector<CudaDevice> devices;
  if (opened.plugin != nullptr) devices = opened.plugin->devices();
  if (why != nullptr && devices.empty()) *why = opened.plugin == nullptr ? opened.why : "no NVIDIA GPU that it can use";
  return devices;
}

int64_t CudaFreeBytes(const CudaDevice& device) {
  const Opened& opened = Plugin();
  return opened.plugin == nullptr ? 0 : opened.plugin->free_bytes(device.index);
}

Result<std::unique_ptr<Ops>> MakeCudaOps(const CudaOptions& options) {
  const Opened& opened = Plugin();
  if (opened.plugin == nullptr) return Fail(ErrorCode::kUnsupported, "no CUDA backend: {}", opened.why);
  return opened.plugin->make_ops(options);
}

}  // namespace lb

#include "app/prompt_cache.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/log.h"
#include "model/adapter.h"

namespace lb::app {
namespace {

using std::chrono::steady_clock;

class Fnv1a {
 public:
  void Add(std::string_view bytes) {
    for (const char c : bytes) state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  }
  uint64_t value() const { return state_; }

 private:
  uint64_t state_ = 0xcbf29ce484222325ull;
};

// Names a model by what its keys and values come from: all numbers and words of its metadata, and
// of every tensor name, type, shape and some bytes. Reading all weights again would cost as long as
// loading them; two models of one family differ in nearly every tensor.
uint64_t Fingerprint(const gguf::GgufFile& file) {
  constexpr size_t kSamples = 4, kSampleBytes = 256;
  Fnv1a hash;
  for (const auto& [key, value] : file.metadata().all()) {
    hash.Add(key);
    if (const auto* u = std::get_if<uint64_t>(&value.data)) hash.Add(fmt::format("={}", *u));
    if (const auto* i = std::get_if<int64_t>(&value.data)) hash.Add(fmt::format("={}", *i));
    if (const auto* d = std::get_if<double>(&value.data)) hash.Add(fmt::format("={}", *d));
    if (const auto* b = std::get_if<bool>(&value.data)) hash.Add(*b ? "=1" : "=0");
    if (const auto* s = std::get_if<std::string>(&value.data)) hash.Add("=" + *s);
  }
  for (const gguf::Tensor& tensor : file.tensors()) {
    const auto bytes = static_cast<size_t>(tensor.view.num_bytes());
    hash.Add(fmt::format("{}:{}:{}", tensor.name, Info(tensor.view.dtype).name, bytes));
    const std::string_view data(static_cast<const char*>(tensor.view.data), bytes);
    for (size_t i = 0; i < kSamples; ++i) {
      hash.Add(data.substr(bytes / kSamples * i, kSampleBytes));
    }
  }
  return hash.value();
}

// Everything that decides what the cached bytes are, but for the layout, which the file checks by
// itself. The specification rounds otherwise than the fast kernels, and another version may round
// as it likes.
std::string Key(const Flags& flags, const Composition& c) {
  std::string adapters;
  for (size_t i = 0; i < flags.loras.size(); ++i) {
    const float scale = flags.lora_init_without_apply ? 0 : flags.loras[i].scale;
    adapters += fmt::format(" lora={:016x}:{}", Fingerprint(c.model->adapters()[i]->file()), scale);
  }
  return fmt::format("{} {:016x}{} k={} v={} {} llama-box {}", c.model->config().arch,
                     Fingerprint(*c.file), adapters, flags.cache_type_k, flags.cache_type_v,
                     flags.cpu.isa == "ref" ? "ref" : "cpu", LLAMABOX_VERSION);
}

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

}  // namespace

Result<void> LoadPromptCache(const Flags& flags, Composition* c) {
  const std::string& path = flags.prompt_cache_file;
  if (path.empty()) return {};
  if (!c->model->config().generates) {
    LogWarning("--prompt-cache-file {} is not used: this model caches nothing", path);
    return {};
  }
  if (!flags.cache_prompt) {
    LogWarning("--prompt-cache-file {} is not used: --no-cache-prompt", path);
    return {};
  }
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  std::error_code ec;
  if (!std::filesystem::is_directory(folder, ec) || std::filesystem::is_directory(path, ec)) {
    return Fail(ErrorCode::kInvalidArgument, "--prompt-cache-file {}: no file can be written there",
                path);
  }
  c->prompt_cache_key = Key(flags, *c);
  const auto start = steady_clock::now();
  const auto loaded = c->engine->LoadPromptCache(path, c->prompt_cache_key);
  if (loaded.has_value()) {
    LogVerbose(1, "prompt cache: {} tokens from {} in {:.1f} s", *loaded, path,
               SecondsSince(start));
    return {};
  }
  if (loaded.error().code == ErrorCode::kNotFound) {
    LogVerbose(1, "prompt cache: {} is made at the end", path);
    return {};
  }
  const bool foreign = loaded.error().code == ErrorCode::kInvalidArgument;
  if (foreign) c->prompt_cache_key.clear();
  LogWarning("prompt cache ignored, and {} at the end: {}", foreign ? "not written" : "replaced",
             loaded.error().message);
  return {};
}

void SavePromptCache(const Flags& flags, Composition& c) {
  if (c.prompt_cache_key.empty()) return;
  const auto start = steady_clock::now();
  const auto saved = c.engine->SavePromptCache(flags.prompt_cache_file, c.prompt_cache_key);
  if (saved.has_value()) {
    LogVerbose(1, "prompt cache: {} tokens to {} in {:.1f} s", *saved, flags.prompt_cache_file,
               SecondsSince(start));
  } else {
    LogWarning("prompt cache not saved: {}", saved.error().message);
  }
}

}  // namespace lb::app

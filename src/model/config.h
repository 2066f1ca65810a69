// Reading a model's GGUF keys: typed, range-checked, with errors that name key, value and limit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gguf/gguf_file.h"
#include "model/model.h"

namespace lb {

// Looks up "<arch>.<key>". The first error sticks and later look-ups hand out harmless values (the
// lower limit), so that a family reads all its keys in a row and asks status() once. Borrows the
// file; single thread.
class ConfigReader {
 public:
  ConfigReader(const gguf::GgufFile& file, std::string arch)
      : file_(file), arch_(std::move(arch)) {}

  // An integer in [min, max]. Without a fallback the key must be there.
  int Int(std::string_view key, int64_t min, int64_t max, std::optional<int64_t> fallback = {});
  // A number in [min, max]; NaN never is.
  double Float(std::string_view key, double min, double max, std::optional<double> fallback = {});
  std::string String(std::string_view key, std::string_view fallback);
  // One number for all layers, or an array of one per layer.
  std::vector<int> PerLayer(std::string_view key, int num_layers, int64_t min, int64_t max,
                            std::optional<int64_t> fallback = {});
  // The same where this build wants one value: all layers must agree.
  int SameForAll(std::string_view key, int num_layers, int64_t min, int64_t max,
                 std::optional<int64_t> fallback = {});
  bool Has(std::string_view key) const;

  // Records an error; `message` follows "<file>: ".
  void Fail(ErrorCode code, const std::string& message);
  void FailAs(const Error& error);  // the metadata's own, which names the file
  bool ok() const { return status_.has_value(); }
  const Result<void>& status() const { return status_; }

  const gguf::GgufFile& file() const { return file_; }
  const std::string& arch() const { return arch_; }
  std::string Key(std::string_view key) const { return arch_ + "." + std::string(key); }

 private:
  const gguf::GgufFile& file_;
  std::string arch_;
  Result<void> status_;
};

// The part of the configuration that every family reads the same way. Leaves kv_groups empty. No
// count read here is used to allocate before it has been checked.
// `norm_eps` is the key of its norms' epsilon.
ModelConfig ReadCommonConfig(ConfigReader& keys,
                             std::string_view norm_eps = "attention.layer_norm_rms_epsilon");

// One group that holds all layers, every token kept.
std::vector<KvGroup> OneKvGroup(int num_layers);

}  // namespace lb

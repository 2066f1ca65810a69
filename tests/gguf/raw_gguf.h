// Builds GGUF bytes field by field, so that a test can tell any lie.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lb::gguf {

struct RawTensor {
  std::string name = "t";
  std::vector<uint64_t> dims = {8};  // innermost first, as in the file
  uint32_t type = 0;
  uint64_t offset = 0;
};

class RawGguf {
 public:
  std::string magic = "GGUF";
  uint32_t version = 3;
  uint64_t num_tensors_more = 0;  // what the header counts beyond the truth
  uint64_t num_keys_more = 0;
  uint64_t alignment = 32;  // where the data really starts
  uint64_t data_bytes = 0;
  std::vector<std::pair<std::string, std::string>> keys;  // key, then type and value as bytes
  std::vector<RawTensor> tensors;

  template <typename T>
  static std::string Le(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
  }
  static std::string U32(uint32_t v) { return Le(v); }
  static std::string U64(uint64_t v) { return Le(v); }
  static std::string Str(std::string_view s) { return U64(s.size()) + std::string(s); }

  RawGguf& Key(std::string key, uint32_t type, std::string value) {
    keys.emplace_back(std::move(key), U32(type) + std::move(value));
    return *this;
  }
  RawGguf& Tensor(RawTensor tensor) {
    tensors.push_back(std::move(tensor));
    return *this;
  }
  RawGguf& Data(uint64_t bytes) {
    data_bytes = bytes;
    return *this;
  }

  std::string Build() const {
    std::string out = magic + U32(version) + U64(tensors.size() + num_tensors_more) +
                      U64(keys.size() + num_keys_more);
    for (const auto& [key, value] : keys) out += Str(key) + value;
    for (const RawTensor& t : tensors) {
      out += Str(t.name) + U32(static_cast<uint32_t>(t.dims.size()));
      for (uint64_t d : t.dims) out += U64(d);
      out += U32(t.type) + U64(t.offset);
    }
    if (!tensors.empty()) {
      out.resize((out.size() + alignment - 1) / alignment * alignment);
      out.resize(out.size() + data_bytes);
    }
    return out;
  }
};

}  // namespace lb::gguf

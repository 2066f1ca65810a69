// One GGUF file, or one part of a split one, parsed and checked: what GgufFile is made of.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/gguf_file.h"
#include "gguf/metadata.h"

namespace lb::gguf {

struct Part {
  uint32_t version = 0;
  Metadata metadata;
  std::vector<Tensor> tensors;  // in the order of the file's directory; views into its bytes
};

// What one file may make us allocate: its own length and a fixed allowance, since an entry of one
// byte in the file may be eight in memory. Real vocabularies need less than half of it.
inline constexpr uint64_t kParseAllowanceBytes = 48 << 20;

inline constexpr uint64_t kMaxKeyBytes = 65535;      // by the format's description
inline constexpr uint64_t kMaxTensorNameBytes = 64;  // by the format's description
inline constexpr uint32_t kMaxDims = 4;              // what TensorView holds
inline constexpr int64_t kMinAlignment = 8;          // by the format's description
inline constexpr int64_t kMaxAlignment = 65536;      // the largest page of any machine
inline constexpr int64_t kDefaultAlignment = 32;

// `name` is the file's name for messages. The bytes must outlive the views.
Result<Part> ParsePart(std::span<const uint8_t> bytes, const std::string& name);

}  // namespace lb::gguf

// The number formats a tensor can have: one row per format. Everything that depends on a format
// (file sizes, loaders, reference kernels, tests, help text) follows from its row.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace lb {

enum class DType : uint8_t {
  kF32, kF16, kBF16,
  kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0,
  kQ2_K, kQ3_K, kQ4_K, kQ5_K, kQ6_K,
  kIQ4_NL, kIQ4_XS, kMXFP4,
  kI32,      // indices only; never a weight
  kFP8E4M3,  // of the KV cache only; in no file
};
inline constexpr int kNumDTypes = 18;
inline constexpr uint32_t kNotInGguf = 0xffffffff;

struct DTypeInfo {
  DType dtype;
  std::string_view name;   // as GGUF tools print it: "Q4_K"
  uint32_t gguf_id;        // the type number in a GGUF tensor directory, or kNotInGguf
  int block_size;          // values in one block
  int block_bytes;         // bytes of one block
  // Decodes `n` values (a multiple of block_size) from `src` (any alignment) to `dst`. Gives
  // the same bits as the `gguf` Python package, operation by operation. Null for kI32.
  void (*decode)(const void* src, float* dst, int64_t n);
  // Encodes `n` values, to the same bytes as that package; null where we never write the format.
  void (*encode)(const float* src, void* dst, int64_t n);
};

const DTypeInfo& Info(DType dtype);
std::span<const DTypeInfo> AllDTypes();

// The row of a GGUF type number; nothing for a type that this build cannot decode to weights.
std::optional<DType> DTypeFromGguf(uint32_t gguf_id);
// The name ggml gives to a type number, known here or not ("IQ2_XXS"), for error messages;
// "unknown" for a number that ggml has not given out.
std::string_view GgufTypeName(uint32_t gguf_id);
// Whether ggml once had the type and no longer reads it.
bool IsRemovedGgufType(uint32_t gguf_id);
std::optional<DType> DTypeFromName(std::string_view name);  // any case: "q8_0"

// Bytes of a row of `n` values; n must be a multiple of the block size.
inline int64_t RowBytes(DType dtype, int64_t n) {
  const DTypeInfo& info = Info(dtype);
  return n / info.block_size * info.block_bytes;
}

}  // namespace lb

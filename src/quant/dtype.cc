#include "quant/dtype.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/check.h"
#include "quant/bf16.h"
#include "quant/f16.h"
#include "quant/f32.h"
#include "quant/fp8_e4m3.h"
#include "quant/iq4_nl.h"
#include "quant/iq4_xs.h"
#include "quant/mxfp4.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q4_k.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"
#include "quant/q8_0.h"

namespace lb {
namespace {

using namespace quant;

// clang-format off
constexpr std::array<DTypeInfo, kNumDTypes> kTable = {{
    {DType::kF32,    "F32",     0,   1, 4,                   DecodeF32,    EncodeF32},
    {DType::kF16,    "F16",     1,   1, 2,                   DecodeF16,    EncodeF16},
    {DType::kBF16,   "BF16",   30,   1, 2,                   DecodeBF16,   EncodeBF16},
    {DType::kQ4_0,   "Q4_0",    2,  32, sizeof(BlockQ4_0),   DecodeQ4_0,   EncodeQ4_0},
    {DType::kQ4_1,   "Q4_1",    3,  32, sizeof(BlockQ4_1),   DecodeQ4_1,   EncodeQ4_1},
    {DType::kQ5_0,   "Q5_0",    6,  32, sizeof(BlockQ5_0),   DecodeQ5_0,   EncodeQ5_0},
    {DType::kQ5_1,   "Q5_1",    7,  32, sizeof(BlockQ5_1),   DecodeQ5_1,   EncodeQ5_1},
    {DType::kQ8_0,   "Q8_0",    8,  32, sizeof(BlockQ8_0),   DecodeQ8_0,   EncodeQ8_0},
    {DType::kQ2_K,   "Q2_K",   10, 256, sizeof(BlockQ2_K),   DecodeQ2_K,   nullptr},
    {DType::kQ3_K,   "Q3_K",   11, 256, sizeof(BlockQ3_K),   DecodeQ3_K,   nullptr},
    {DType::kQ4_K,   "Q4_K",   12, 256, sizeof(BlockQ4_K),   DecodeQ4_K,   nullptr},
    {DType::kQ5_K,   "Q5_K",   13, 256, sizeof(BlockQ5_K),   DecodeQ5_K,   nullptr},
    {DType::kQ6_K,   "Q6_K",   14, 256, sizeof(BlockQ6_K),   DecodeQ6_K,   nullptr},
    {DType::kIQ4_NL, "IQ4_NL", 20,  32, sizeof(BlockIQ4_NL), DecodeIQ4_NL, nullptr},
    {DType::kIQ4_XS, "IQ4_XS", 23, 256, sizeof(BlockIQ4_XS), DecodeIQ4_XS, nullptr},
    {DType::kMXFP4,  "MXFP4",  39,  32, sizeof(BlockMXFP4),  DecodeMXFP4,  nullptr},
    {DType::kI32,    "I32",    26,   1, 4,                   nullptr,      nullptr},
    {DType::kFP8E4M3, "FP8_E4M3", kNotInGguf, 1, 1,          DecodeFp8,    EncodeFp8},
}};

// Every number ggml ever gave to a type, in order from 0.
constexpr std::string_view kGgmlNames[] = {
    "F32",      "F16",      "Q4_0",     "Q4_1",       "Q4_2",       "Q4_3",       "Q5_0",
    "Q5_1",     "Q8_0",     "Q8_1",     "Q2_K",       "Q3_K",       "Q4_K",       "Q5_K",
    "Q6_K",     "Q8_K",     "IQ2_XXS",  "IQ2_XS",     "IQ3_XXS",    "IQ1_S",      "IQ4_NL",
    "IQ3_S",    "IQ2_S",    "IQ4_XS",   "I8",         "I16",        "I32",        "I64",
    "F64",      "IQ1_M",    "BF16",     "Q4_0_4_4",   "Q4_0_4_8",   "Q4_0_8_8",   "TQ1_0",
    "TQ2_0",    "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4",  "NVFP4",      "Q1_0",
    "Q2_0",
};
// clang-format on

constexpr bool RowsMatchEnum() {
  for (int i = 0; i < kNumDTypes; ++i) {
    if (static_cast<int>(kTable[i].dtype) != i) return false;
    if (kTable[i].gguf_id != kNotInGguf && kGgmlNames[kTable[i].gguf_id] != kTable[i].name) return false;
  }
  return true;
}
static_assert(RowsMatchEnum());

}  // namespace

const DTypeInfo& Info(DType dtype) {
  const auto row = static_cast<size_t>(dtype);
  DCHECK_LT(row, kTable.size());
  return kTable[row];
}

std::span<const DTypeInfo> AllDTypes() { return kTable; }

std::optional<DType> DTypeFromGguf(uint32_t gguf_id) {
  if (gguf_id == kNotInGguf) return std::nullopt;
  for (const DTypeInfo& info : kTable) {
    if (info.gguf_id == gguf_id && info.decode != nullptr) return info.dtype;
  }
  return std::nullopt;
}

std::string_view GgufTypeName(uint32_t gguf_id) {
  return gguf_id < std::size(kGgmlNames) ? kGgmlNames[gguf_id] : std::string_view("unknown");
}

bool IsRemovedGgufType(uint32_t gguf_id) {
  return gguf_id == 4 || gguf_id == 5 || (gguf_id >= 31 && gguf_id <= 33) ||
         (gguf_id >= 36 && gguf_id <= 38);
}

std::optional<DType> DTypeFromName(std::string_view name) {
  const auto same = [](char a, char b) {
    return std::toupper(static_cast<unsigned char>(a)) ==
           std::toupper(static_cast<unsigned char>(b));
  };
  for (const DTypeInfo& info : kTable) {
    if (std::ranges::equal(info.name, name, same)) return info.dtype;
  }
  return std::nullopt;
}

}  // namespace lb

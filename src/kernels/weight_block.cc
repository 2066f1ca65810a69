#include "kernels/weight_block.h"

#include <cstring>

#include "base/check.h"
#include "quant/half.h"
#include "quant/iq4_nl.h"
#include "quant/iq4_xs.h"
#include "quant/k_scales.h"
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

template <typename Block>
Block Load(const void* row, int64_t index) {
  Block b;
  std::memcpy(&b, static_cast<const char*>(row) + index * static_cast<int64_t>(sizeof(Block)),
              sizeof(Block));
  return b;
}

// Value i in the low half of byte i, value i + 16 in its high half.
void Halves(const uint8_t* qs, uint8_t* code) {
  for (int i = 0; i < 16; ++i) {
    code[i] = qs[i] & 15;
    code[i + 16] = qs[i] >> 4;
  }
}

void FifthBits(const void* qh, uint8_t* code) {
  uint32_t bits;
  std::memcpy(&bits, qh, 4);
  for (int i = 0; i < 32; ++i) code[i] |= static_cast<uint8_t>((bits >> i & 1) << 4);
}

// The kSuper formats: `g` is the number of the 32 values inside the 256.
void Read(const BlockQ2_K& b, int g, WeightBlock* out) {
  for (int i = 0; i < 32; ++i) out->code[i] = b.qs[g / 4 * 32 + i] >> g % 4 * 2 & 3;
  for (int s = 0; s < 2; ++s) {
    out->scale[s] = b.scales[g * 2 + s] & 15;
    out->minimum[s] = b.scales[g * 2 + s] >> 4;
  }
  out->d_bits = b.d;
  out->m_bits = b.dmin;
}

void Read(const BlockQ3_K& b, int g, WeightBlock* out) {
  for (int i = 0; i < 32; ++i) {
    out->code[i] = static_cast<uint8_t>((b.qs[g / 4 * 32 + i] >> g % 4 * 2 & 3) |
                                        (b.hmask[i] >> g & 1) << 2);
  }
  for (int s = 0; s < 2; ++s) out->scale[s] = Q3KScale(b.scales, g * 2 + s) - 32;
  out->d_bits = b.d;
}

template <typename Block>
void ReadScales45(const Block& b, int g, WeightBlock* out) {
  for (int s = 0; s < 2; ++s) {
    out->scale[s] = KScale(b.scales, g);
    out->minimum[s] = KMinimum(b.scales, g);
  }
  out->d_bits = b.d;
  out->m_bits = b.dmin;
}

void Read(const BlockQ4_K& b, int g, WeightBlock* out) {
  for (int i = 0; i < 32; ++i) out->code[i] = b.qs[g / 2 * 32 + i] >> g % 2 * 4 & 15;
  ReadScales45(b, g, out);
}

void Read(const BlockQ5_K& b, int g, WeightBlock* out) {
  for (int i = 0; i < 32; ++i) {
    out->code[i] = static_cast<uint8_t>((b.qs[g / 2 * 32 + i] >> g % 2 * 4 & 15) |
                                        (b.qh[i] >> g & 1) << 4);
  }
  ReadScales45(b, g, out);
}

void Read(const BlockQ6_K& b, int g, WeightBlock* out) {
  const int h = g / 4;
  const int j = g % 4;
  for (int i = 0; i < 32; ++i) {
    out->code[i] = static_cast<uint8_t>((b.ql[64 * h + 32 * (j % 2) + i] >> j / 2 * 4 & 15) |
                                        (b.qh[32 * h + i] >> j * 2 & 3) << 4);
  }
  for (int s = 0; s < 2; ++s) out->scale[s] = b.scales[g * 2 + s];
  out->d_bits = b.d;
}

void Read(const BlockIQ4_XS& b, int g, WeightBlock* out) {
  Halves(b.qs + 16 * g, out->code);
  const int scale = IQ4XSScale(b, g) - 32;
  out->scale[0] = out->scale[1] = scale;
  out->d_bits = b.d;
}

template <typename Block>
void ReadSuper(const void* row, int64_t index, WeightBlock* out) {
  Read(Load<Block>(row, index / 8), static_cast<int>(index % 8), out);
}

constexpr WeightFormat Block(int offset, bool has_minimum = false,
                             const int8_t* levels = nullptr) {
  return {WeightKind::kBlock, has_minimum, false, offset, levels};
}
constexpr WeightFormat Super(int offset, bool has_minimum, bool per_16,
                             const int8_t* levels = nullptr) {
  return {WeightKind::kSuper, has_minimum, per_16, offset, levels};
}

// In the order of DType.
constexpr WeightFormat kFormats[kNumDTypes] = {
    {}, {}, {},                          // F32, F16, BF16
    Block(8), Block(0, true),            // Q4_0, Q4_1
    Block(16), Block(0, true),           // Q5_0, Q5_1
    Block(128),                          // Q8_0
    Super(0, true, true),                // Q2_K
    Super(4, false, true),               // Q3_K
    Super(0, true, false),               // Q4_K
    Super(0, true, false),               // Q5_K
    Super(32, false, true),              // Q6_K
    Block(0, false, kIQ4Levels),         // IQ4_NL
    Super(0, false, false, kIQ4Levels),  // IQ4_XS
    Block(0, false, kMXFP4Levels),       // MXFP4
    {}, {},                              // I32, FP8_E4M3
};

}  // namespace

const WeightFormat& FormatOf(DType dtype) {
  CHECK(dtype != DType::kI32 && dtype != DType::kFP8E4M3);
  return kFormats[static_cast<int>(dtype)];
}

void ReadWeightCodes(DType dtype, const void* row, int64_t index, WeightBlock* out) {
  out->scale[0] = out->scale[1] = 1;
  out->minimum[0] = out->minimum[1] = 0;
  out->m_bits = 0;
  switch (dtype) {
    case DType::kQ4_0: {
      const auto b = Load<BlockQ4_0>(row, index);
      Halves(b.qs, out->code);
      out->d_bits = b.d;
      break;
    }
    case DType::kQ4_1: {
      const auto b = Load<BlockQ4_1>(row, index);
      Halves(b.qs, out->code);
      out->d_bits = b.d;
      out->m_bits = b.m;
      break;
    }
    case DType::kQ5_0: {
      const auto b = Load<BlockQ5_0>(row, index);
      Halves(b.qs, out->code);
      FifthBits(&b.qh, out->code);
      out->d_bits = b.d;
      break;
    }
    case DType::kQ5_1: {
      const auto b = Load<BlockQ5_1>(row, index);
      Halves(b.qs, out->code);
      FifthBits(&b.qh, out->code);
      out->d_bits = b.d;
      out->m_bits = b.m;
      break;
    }
    case DType::kQ8_0: {
      const auto b = Load<BlockQ8_0>(row, index);
      for (int i = 0; i < 32; ++i) out->code[i] = static_cast<uint8_t>(b.qs[i] + 128);
      out->d_bits = b.d;
      break;
    }
    case DType::kIQ4_NL: {
      const auto b = Load<BlockIQ4_NL>(row, index);
      Halves(b.qs, out->code);
      out->d_bits = b.d;
      break;
    }
    case DType::kMXFP4: {
      const auto b = Load<BlockMXFP4>(row, index);
      Halves(b.qs, out->code);
      out->d_bits = b.e;
      break;
    }
    case DType::kQ2_K: ReadSuper<BlockQ2_K>(row, index, out); break;
    case DType::kQ3_K: ReadSuper<BlockQ3_K>(row, index, out); break;
    case DType::kQ4_K: ReadSuper<BlockQ4_K>(row, index, out); break;
    case DType::kQ5_K: ReadSuper<BlockQ5_K>(row, index, out); break;
    case DType::kQ6_K: ReadSuper<BlockQ6_K>(row, index, out); break;
    case DType::kIQ4_XS: ReadSuper<BlockIQ4_XS>(row, index, out); break;
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
    case DType::kI32:
    case DType::kFP8E4M3: CHECK(false);
  }
}

void ReadWeightBlock(DType dtype, const void* row, int64_t index, WeightBlock* out) {
  ReadWeightCodes(dtype, row, index, out);
  const WeightFormat& format = FormatOf(dtype);
  for (int i = 0; i < 32; ++i) {
    out->value[i] = format.levels != nullptr ? format.levels[out->code[i]]
                                             : static_cast<int8_t>(out->code[i] - format.offset);
  }
  out->d = dtype == DType::kMXFP4 ? MXFP4HalfScale(static_cast<uint8_t>(out->d_bits))
                                  : HalfToFloat(out->d_bits);
  out->m = HalfToFloat(out->m_bits);
}

}  // namespace lb

#include "kernels/cuda/pack_weight.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "kernels/weight_block.h"
#include "quant/half.h"
#include "quant/mxfp4.h"

namespace lb::cuda {
namespace {

// 32 weights of a row: codes, and scale and bias of either half before the matrix's exponent.
struct Group {
  uint8_t code[32];
  float scale[2];
  float bias[2];
};

void ReadGroup(const TensorView& raw, const WeightFormat& format, int64_t row, int64_t index, Group* out) {
  WeightBlock block;
  ReadWeightCodes(raw.dtype, raw.as<char>() + row * raw.row_bytes(), index, &block);
  if (format.levels != nullptr) {
    for (int i = 0; i < 32; ++i) out->code[i] = static_cast<uint8_t>(format.levels[block.code[i]] + 128);
  } else {
    std::memcpy(out->code, block.code, 32);
  }
  const float d = raw.dtype == DType::kMXFP4 ? quant::MXFP4HalfScale(static_cast<uint8_t>(block.d_bits)) : quant::HalfToFloat(block.d_bits);
  const float m = format.has_minimum ? quant::HalfToFloat(block.m_bits) : 0.0f;
  const bool super = format.kind == WeightKind::kSuper;
  for (int s = 0; s < 2; ++s) {
    out->scale[s] = super ? d * static_cast<float>(block.scale[s]) : d;
    out->bias[s] = !format.has_minimum ? 0.0f : super ? -m * static_cast<float>(block.minimum[s]) : m;
  }
}

// Where half `index` of a record's scales lies for row (g + 8 half) and tile, 16-group `part`.
int ScaleAt(WeightForm form, int g, int part, int half, int tile, bool bias) {
  const int parts = ScalesBy16(form) ? 2 : 1;
  const int set = HasBias(form) ? 8 : 4;  // halves of one (g, part)
  return (g * parts + part) * set + (bias ? 4 : 0) + half * 2 + tile;
}

uint16_t* HalfAt(uint8_t* record, int byte, int index) {
  return reinterpret_cast<uint16_t*>(record + byte) + index;
}

// Puts the 8 codes that lane `lane` has of tile `tile` and row half `half` into its share of the planes, which hold zeros there.
template <WeightForm form>
void PutCodes(uint8_t* record, int lane, int tile, int half, const uint8_t* code) {
  if (form == WeightForm::k8) {
    std::memcpy(record + tile * 512 + lane * 16 + half * 8, code, 8);
    return;
  }
  constexpr int bits = HighBits(form);
  uint32_t low = 0, high = 0;
  for (int i = 0; i < 8; ++i) {
    const int place = i / 2 + i % 2 * 4;
    low |= static_cast<uint32_t>(code[i] & 15) << (4 * place);
    if (bits == 1) high |= static_cast<uint32_t>(code[i] >> 4 & 1) << (i / 2 + i % 2 * 16);
    if (bits == 2) high |= static_cast<uint32_t>(code[i] >> 4 & 3) << (i / 2 * 2 + i % 2 * 16);
  }
  std::memcpy(record + lane * 16 + (tile * 2 + half) * 4, &low, 4);
  if (bits == 0) return;
  uint8_t* at = record + LayoutOf(form).code_bytes + (bits == 1 ? lane * 4 : lane * 8 + tile * 4);
  uint32_t word;
  std::memcpy(&word, at, 4);
  word |= high << (bits == 1 ? tile * 8 + half * 4 : half * 8);
  std::memcpy(at, &word, 4);
}

// The exponent that brings the largest weight near 256.
int ExponentFor(float largest) {
  if (!(largest > 0) || !std::isfinite(largest)) return 0;
  return std::clamp(7 - static_cast<int>(std::floor(std::log2(largest))), -24, 60);
}

// The largest magnitude of row `row` that an exponent must bring near 256; of scales and biases, as far as codes take them.
float LargestOf(const TensorView& raw, int64_t row, std::vector<float>* values) {
  float most = 0;
  const char* at = raw.as<char>() + row * raw.row_bytes();
  const int64_t cols = raw.cols();
  if (raw.dtype == DType::kF16) {
    uint16_t largest = 0;
    for (int64_t c = 0; c < cols; ++c) {
      uint16_t bits;
      std::memcpy(&bits, at + 2 * c, 2);
      bits &= 0x7fff;
      largest = std::max<uint16_t>(largest, bits > 0x7c00 ? 0 : bits);  // no NaN
    }
    return quant::HalfToFloat(largest);
  }
  if (FormOf(raw.dtype) == WeightForm::kHalf) {
    Info(raw.dtype).decode(at, values->data(), cols);
    for (int64_t c = 0; c < cols; ++c) most = std::max(most, std::fabs((*values)[static_cast<size_t>(c)]));
    return most;
  }
  const WeightFormat& format = FormatOf(raw.dtype);
  if (format.kind == WeightKind::kBlock && raw.dtype != DType::kMXFP4) {  // begins with its scale, and then its minimum
    const DTypeInfo& info = Info(raw.dtype);
    for (int64_t b = 0; b < cols / info.block_size; ++b) {
      uint16_t bits[2];
      std::memcpy(bits, at + b * info.block_bytes, sizeof bits);
      most = std::max(most, std::fabs(quant::HalfToFloat(bits[0])) * 4);
      if (format.has_minimum) most = std::max(most, std::fabs(quant::HalfToFloat(bits[1])));
    }
    return most;
  }
  Group group;
  for (int64_t b = 0; b < cols / 32; ++b) {
    ReadGroup(raw, format, row, b, &group);
    for (int s = 0; s < 2; ++s) most = std::max({most, std::fabs(group.scale[s]) * 4, std::fabs(group.bias[s])});
  }
  return most;
}

// fp16 of value times 2^exponent, `factor`, where the value is fp16 `bits`.
uint16_t HalfTimes(uint16_t bits, int exponent, float factor) {
  const int moved = (bits >> 10 & 31) + exponent;
  if ((bits >> 10 & 31) != 0 && (bits >> 10 & 31) != 31 && moved > 0 && moved < 31) return static_cast<uint16_t>(bits + exponent * 1024);
  return quant::HalfFromFloat(quant::HalfToFloat(bits) * factor);
}

void PackFloatRow(const TensorView& raw, const DeviceWeight& w, int64_t row, int r, std::vector<float>* values, uint8_t* base) {
  const float factor = 1 / w.unscale;
  const char* at = raw.as<char>() + row * raw.row_bytes();
  const bool half = raw.dtype == DType::kF16;
  if (!half) Info(raw.dtype).decode(at, values->data(), w.cols);
  const int exponent = std::ilogb(factor);
  for (int c = 0; c < w.cols; c += 8) {  // a lane's share
    const int count = std::min(8, w.cols - c);
    uint16_t bits[8] = {};
    if (half) std::memcpy(bits, at + 2 * c, 2 * static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      bits[i] = half ? HalfTimes(bits[i], exponent, factor) : quant::HalfFromFloat((*values)[static_cast<size_t>(c + i)] * factor);
    }
    const int in = c % kChunkCols, lane = r % 8 * 4 + in % 32 / 8;
    uint8_t* record = base + int64_t{c / kChunkCols} * LayoutOf(WeightForm::kHalf).record();
    std::memcpy(record + (in / 32 * 2 + r / 8) * 512 + lane * 16, bits, sizeof bits);
  }
}

template <WeightForm form>
void PackCodeRow(const TensorView& raw, const DeviceWeight& w, int64_t row, int r, uint8_t* base) {
  const WeightFormat& format = FormatOf(raw.dtype);
  CHECK_EQ(OffsetOf(form), form == WeightForm::k8 ? 128 : format.offset);
  constexpr FormLayout layout = LayoutOf(form);
  constexpr int scales_at = layout.code_bytes + layout.high_bytes;
  const float factor = 1 / w.unscale;
  Group group;
  for (int b = 0; b < w.cols / 32; ++b) {
    ReadGroup(raw, format, row, b, &group);
    uint8_t* record = base + int64_t{b / 2} * layout.record();
    for (int t = 0; t < 4; ++t) PutCodes<form>(record, r % 8 * 4 + t, b % 2, r / 8, group.code + 8 * t);
    for (int part = 0; part < (ScalesBy16(form) ? 2 : 1); ++part) {
      *HalfAt(record, scales_at, ScaleAt(form, r % 8, part, r / 8, b % 2, false)) = quant::HalfFromFloat(group.scale[part] * factor);
      if (!HasBias(form)) continue;
      *HalfAt(record, scales_at, ScaleAt(form, r % 8, part, r / 8, b % 2, true)) = quant::HalfFromFloat(group.bias[part] * factor);
    }
  }
}

}  // namespace

WeightForm FormOf(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0: return WeightForm::k4;
    case DType::kQ4_1:
    case DType::kQ4_K: return WeightForm::k4Bias;
    case DType::kQ5_0: return WeightForm::k5;
    case DType::kQ5_1:
    case DType::kQ5_K: return WeightForm::k5Bias;
    case DType::kQ6_K: return WeightForm::k6By16;
    case DType::kQ3_K: return WeightForm::k4By16;
    case DType::kQ2_K: return WeightForm::k4BiasBy16;
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16: return WeightForm::kHalf;
    default: return WeightForm::k8;
  }
}

DeviceWeight PlanWeight(const TensorView& raw, ThreadPool& threads) {
  DeviceWeight w;
  w.form = FormOf(raw.dtype);
  w.rows = static_cast<int>(raw.rows());
  w.cols = static_cast<int>(raw.cols());
  w.chunks = (w.cols + kChunkCols - 1) / kChunkCols;
  std::vector<float> largest(static_cast<size_t>(w.rows));
  threads.ParallelFor(w.rows, kTileRows, [&](int64_t begin, int64_t end, int) {
    std::vector<float> values(static_cast<size_t>(w.cols));
    for (int64_t r = begin; r < end; ++r) largest[static_cast<size_t>(r)] = LargestOf(raw, r, &values);
  });
  // A scale times the largest distance from the offset stays below fp16's end.
  const float most = *std::ranges::max_element(largest);
  w.unscale = std::ldexp(1.0f, -ExponentFor(w.form == WeightForm::kHalf ? most : 4 * most));
  return w;
}

void PackTiles(const TensorView& raw, const DeviceWeight& w, int64_t first, int64_t count, uint8_t* out, ThreadPool& threads) {
  threads.ParallelFor(count, 1, [&](int64_t begin, int64_t end, int) {
    std::vector<float> values(static_cast<size_t>(w.cols));
    std::memset(out + begin * w.tile_bytes(), 0, static_cast<size_t>((end - begin) * w.tile_bytes()));
    for (int64_t tile = begin; tile < end; ++tile) {
      uint8_t* base = out + tile * w.tile_bytes();
      for (int r = 0; r < kTileRows; ++r) {
        const int64_t row = (first + tile) * kTileRows + r;
        if (row >= w.rows) break;
        WithForm(w.form, [&]<WeightForm form>() {
          if constexpr (form == WeightForm::kHalf) {
            PackFloatRow(raw, w, row, r, &values, base);
          } else {
            PackCodeRow<form>(raw, w, row, r, base);
          }
        });
      }
    }
  });
}

PackedWeight PackWeight(const TensorView& raw) {
  ThreadPool threads(ThreadOptions(1));
  PackedWeight out{PlanWeight(raw, threads), {}};
  out.data.resize(static_cast<size_t>(out.view.tiles() * out.view.tile_bytes()));
  PackTiles(raw, out.view, 0, out.view.tiles(), out.data.data(), threads);
  return out;
}

float PackedElement(const PackedWeight& packed, int row, int col) {
  const DeviceWeight& w = packed.view;
  const FormLayout layout = LayoutOf(w.form);
  const int r = row % kTileRows, in = col % kChunkCols, tile = in / 32, half = r / 8;
  const int t = in % 32 / 8, lane = r % 8 * 4 + t, i = in % 8;
  auto* record = const_cast<uint8_t*>(packed.data.data()) + row / kTileRows * w.tile_bytes() +
                 int64_t{col / kChunkCols} * layout.record();
  if (w.form == WeightForm::kHalf) {
    return quant::HalfToFloat(*HalfAt(record, (tile * 2 + half) * 512 + lane * 16, i)) * w.unscale;
  }
  int code;
  if (w.form == WeightForm::k8) {
    code = record[tile * 512 + lane * 16 + half * 8 + i];
  } else {
    const int nibble = i / 2 + (i % 2) * 4;
    code = record[lane * 16 + (tile * 2 + half) * 4 + nibble / 2] >> (nibble % 2 * 4) & 15;
    uint32_t word = 0;
    if (HighBits(w.form) == 1) {
      std::memcpy(&word, record + layout.code_bytes + lane * 4, 4);
      code |= static_cast<int>(word >> (tile * 8 + half * 4 + i / 2 + (i % 2) * 16) & 1) << 4;
    } else if (HighBits(w.form) == 2) {
      std::memcpy(&word, record + layout.code_bytes + lane * 8 + tile * 4, 4);
      code |= static_cast<int>(word >> ((half * 4 + i / 2) * 2 + (i % 2) * 16) & 3) << 4;
    }
  }
  const int at = layout.code_bytes + layout.high_bytes, part = ScalesBy16(w.form) ? t / 2 : 0;
  const float scale = quant::HalfToFloat(*HalfAt(record, at, ScaleAt(w.form, r % 8, part, half, tile, false)));
  const float bias =
      HasBias(w.form) ? quant::HalfToFloat(*HalfAt(record, at, ScaleAt(w.form, r % 8, part, half, tile, true)))
                      : 0.0f;
  return (scale * static_cast<float>(code - OffsetOf(w.form)) + bias) * w.unscale;
}

}  // namespace lb::cuda

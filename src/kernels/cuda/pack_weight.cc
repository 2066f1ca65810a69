#include "kernels/cuda/pack_weight.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include "base/check.h"
#include "kernels/weight_block.h"
#include "quant/half.h"

namespace lb::cuda {
namespace {

constexpr int kMostThreads = 8;

// Runs work(begin, end) over [0, n) on a few threads.
template <typename F>
void Parallel(int n, const F& work) {
  const int threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1,
                                 std::min(kMostThreads, std::max(1, n / 64)));
  std::vector<std::jthread> pool;
  for (int i = 0; i < threads; ++i) {
    pool.emplace_back([&, i] { work(int64_t{n} * i / threads, int64_t{n} * (i + 1) / threads); });
  }
}

// 32 weights of a row: codes, and scale and bias of either half before the matrix's exponent.
struct Group {
  uint8_t code[32];
  float scale[2];
  float bias[2];
};

void ReadGroup(const TensorView& raw, const WeightFormat& format, int64_t row, int64_t index,
               Group* out) {
  WeightBlock block;
  ReadWeightBlock(raw.dtype, raw.as<char>() + row * raw.row_bytes(), index, &block);
  for (int i = 0; i < 32; ++i) {
    out->code[i] = format.levels != nullptr ? static_cast<uint8_t>(block.value[i] + 128)
                   : raw.dtype == DType::kQ8_0 ? static_cast<uint8_t>(block.value[i] + 128)
                                               : block.code[i];
  }
  for (int s = 0; s < 2; ++s) {
    const bool super = format.kind == WeightKind::kSuper;
    out->scale[s] = super ? block.d * static_cast<float>(block.scale[s]) : block.d;
    out->bias[s] = !format.has_minimum ? 0.0f
                   : super             ? -block.m * static_cast<float>(block.minimum[s])
                                       : block.m;
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

// Puts value i (0..7 of lane t's) of tile, row half, into a lane's share of the planes.
void PutCode(WeightForm form, uint8_t* record, int lane, int tile, int half, int i, uint8_t code) {
  const FormLayout layout = LayoutOf(form);
  if (form == WeightForm::k8) {
    record[tile * 512 + lane * 16 + half * 8 + i] = code;
    return;
  }
  const int nibble = i / 2 + (i % 2) * 4;
  uint8_t& byte = record[lane * 16 + (tile * 2 + half) * 4 + nibble / 2];
  byte |= static_cast<uint8_t>((code & 15) << (nibble % 2 * 4));
  const int bits = HighBits(form);
  if (bits == 0) return;
  uint8_t* high = record + layout.code_bytes;
  uint32_t word;
  if (bits == 1) {
    uint8_t* at = high + lane * 4;
    std::memcpy(&word, at, 4);
    word |= static_cast<uint32_t>(code >> 4 & 1) << (tile * 8 + half * 4 + i / 2 + (i % 2) * 16);
    std::memcpy(at, &word, 4);
  } else {
    uint8_t* at = high + lane * 8 + tile * 4;
    std::memcpy(&word, at, 4);
    word |= static_cast<uint32_t>(code >> 4 & 3) << ((half * 4 + i / 2) * 2 + (i % 2) * 16);
    std::memcpy(at, &word, 4);
  }
}

// The exponent that brings the largest weight near 256.
int ExponentFor(float largest) {
  if (!(largest > 0) || !std::isfinite(largest)) return 0;
  return std::clamp(7 - static_cast<int>(std::floor(std::log2(largest))), -24, 60);
}

void PackFloats(const TensorView& raw, PackedWeight* out) {
  DeviceWeight& w = out->view;
  const DTypeInfo& info = Info(raw.dtype);
  const auto decode = [&](int64_t row, std::vector<float>* values) {
    info.decode(raw.as<char>() + row * raw.row_bytes(), values->data(), w.cols);
  };
  std::vector<float> largest(static_cast<size_t>(w.rows));
  Parallel(w.rows, [&](int64_t begin, int64_t end) {
    std::vector<float> values(static_cast<size_t>(w.cols));
    for (int64_t r = begin; r < end; ++r) {
      decode(r, &values);
      float most = 0;
      for (float v : values) most = std::max(most, std::fabs(v));
      largest[static_cast<size_t>(r)] = most;
    }
  });
  const int exponent = ExponentFor(*std::ranges::max_element(largest));
  w.unscale = std::ldexp(1.0f, -exponent);
  Parallel(w.tiles(), [&](int64_t begin, int64_t end) {
    std::vector<float> values(static_cast<size_t>(w.cols));
    for (int64_t tile_row = begin; tile_row < end; ++tile_row) {
      for (int r = 0; r < kTileRows; ++r) {
        const int64_t row = tile_row * kTileRows + r;
        if (row >= w.rows) break;
        decode(row, &values);
        uint8_t* base = out->data.data() + tile_row * w.tile_bytes();
        for (int c = 0; c < w.cols; ++c) {
          const int in = c % kChunkCols, t = in % 32 / 8, lane = r % 8 * 4 + t;
          uint8_t* record = base + int64_t{c / kChunkCols} * LayoutOf(w.form).record();
          *HalfAt(record, (in / 32 * 2 + r / 8) * 512 + lane * 16, in % 8) =
              quant::HalfFromFloat(std::ldexp(values[static_cast<size_t>(c)], exponent));
        }
      }
    }
  });
}

void PackCodes(const TensorView& raw, PackedWeight* out) {
  DeviceWeight& w = out->view;
  const WeightFormat& format = FormatOf(raw.dtype);
  CHECK_EQ(OffsetOf(w.form), w.form == WeightForm::k8 ? 128 : format.offset);
  const int groups = w.cols / 32;
  std::vector<float> largest(static_cast<size_t>(w.rows));
  Parallel(w.rows, [&](int64_t begin, int64_t end) {
    Group group;
    for (int64_t r = begin; r < end; ++r) {
      float most = 0;
      for (int b = 0; b < groups; ++b) {
        ReadGroup(raw, format, r, b, &group);
        for (int s = 0; s < 2; ++s) {
          most = std::max({most, std::fabs(group.scale[s]) * 4, std::fabs(group.bias[s])});
        }
      }
      largest[static_cast<size_t>(r)] = most;
    }
  });
  // A scale times the largest distance from the offset stays below fp16's end.
  const int exponent = ExponentFor(*std::ranges::max_element(largest) * 4);
  w.unscale = std::ldexp(1.0f, -exponent);
  const FormLayout layout = LayoutOf(w.form);
  const int parts = ScalesBy16(w.form) ? 2 : 1;
  Parallel(w.tiles(), [&](int64_t begin, int64_t end) {
    Group group;
    for (int64_t tile_row = begin; tile_row < end; ++tile_row) {
      for (int r = 0; r < kTileRows; ++r) {
        const int64_t row = tile_row * kTileRows + r;
        if (row >= w.rows) break;
        for (int b = 0; b < groups; ++b) {
          ReadGroup(raw, format, row, b, &group);
          uint8_t* record =
              out->data.data() + tile_row * w.tile_bytes() + int64_t{b / 2} * layout.record();
          for (int i = 0; i < 32; ++i) {
            PutCode(w.form, record, r % 8 * 4 + i / 8, b % 2, r / 8, i % 8, group.code[i]);
          }
          for (int part = 0; part < parts; ++part) {
            const int at = layout.code_bytes + layout.high_bytes;
            *HalfAt(record, at, ScaleAt(w.form, r % 8, part, r / 8, b % 2, false)) =
                quant::HalfFromFloat(std::ldexp(group.scale[part], exponent));
            if (HasBias(w.form)) {
              *HalfAt(record, at, ScaleAt(w.form, r % 8, part, r / 8, b % 2, true)) =
                  quant::HalfFromFloat(std::ldexp(group.bias[part], exponent));
            }
          }
        }
      }
    }
  });
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

PackedWeight PackWeight(const TensorView& raw) {
  PackedWeight out;
  DeviceWeight& w = out.view;
  w.form = FormOf(raw.dtype);
  w.rows = static_cast<int>(raw.rows());
  w.cols = static_cast<int>(raw.cols());
  w.chunks = (w.cols + kChunkCols - 1) / kChunkCols;
  out.data.assign(static_cast<size_t>(w.tiles() * w.tile_bytes()), 0);
  w.form == WeightForm::kHalf ? PackFloats(raw, &out) : PackCodes(raw, &out);
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

#include "kernels/cpu/packed_matrix.h"

#include <algorithm>
#include <cstring>

#include "base/memory.h"
#include "kernels/host_ops.h"
#include "kernels/weight_block.h"
#include "quant/k_scales.h"
#include "quant/q4_k.h"
#include "quant/q6_k.h"

namespace lb {
namespace {

static_assert(kPackF32 == static_cast<int>(DType::kF32));
static_assert(kPackQ4_0 == static_cast<int>(DType::kQ4_0));
static_assert(kPackQ8_0 == static_cast<int>(DType::kQ8_0));
static_assert(kPackQ6_K == static_cast<int>(DType::kQ6_K));
static_assert(kPackMXFP4 == static_cast<int>(DType::kMXFP4));
static_assert(kCacheFp8 == static_cast<int>(DType::kFP8E4M3));

// Bits `from` and on (of as many as `mask` has, in each byte) of four codes at once.
uint32_t Bits(uint32_t codes, int from, uint32_t mask) { return codes >> from & mask; }
constexpr uint32_t kFour = 0x0f0f0f0f, kTwo = 0x03030303, kOne = 0x01010101;

uint32_t Word(const uint8_t* bytes, int index) {
  uint32_t word;
  std::memcpy(&word, bytes + 4 * index, 4);
  return word;
}

// What is in a block of 32 weights: its scales in `w`, its codes in `group`, four to a word. Files are made mostly of
// Q4_K and Q6_K, so these are taken word by word from where they lie; it halves the time to load a model.
void ReadGroups(DType dtype, const char* row, int64_t b, WeightBlock* w, uint32_t group[8]) {
  using namespace quant;
  const int g = static_cast<int>(b % 8);
  if (dtype == DType::kQ4_K) {
    const auto& block = reinterpret_cast<const BlockQ4_K*>(row)[b / 8];
    for (int i = 0; i < 8; ++i) group[i] = Word(block.qs + g / 2 * 32, i) >> g % 2 * 4 & kFour;
    w->scale[0] = KScale(block.scales, g);
    w->minimum[0] = KMinimum(block.scales, g);
    w->d_bits = block.d;
    w->m_bits = block.dmin;
  } else if (dtype == DType::kQ6_K) {
    const auto& block = reinterpret_cast<const BlockQ6_K*>(row)[b / 8];
    const int h = g / 4, j = g % 4;
    for (int i = 0; i < 8; ++i) {
      group[i] = (Word(block.ql + 64 * h + 32 * (j % 2), i) >> j / 2 * 4 & kFour) |
                 (Word(block.qh + 32 * h, i) >> j * 2 & kTwo) << 4;
    }
    for (int s = 0; s < 2; ++s) w->scale[s] = block.scales[g * 2 + s];
    w->d_bits = block.d;
  } else {
    ReadWeightCodes(dtype, row, b, w);
    std::memcpy(group, w->code, 32);
  }
}

// The 32 codes of row `r` into the block's lines, four at a time: a group's bytes are neighbours there.
void PutCodes(const uint32_t group[8], int bits, int r, uint8_t* lines) {
  const auto put = [&](int line, uint32_t bytes) { std::memcpy(lines + line * 64 + r * 4, &bytes, 4); };
  const auto fours = [&] {
    for (int i = 0; i < 4; ++i) put(i, Bits(group[i], 0, kFour) | Bits(group[i + 4], 0, kFour) << 4);
  };
  const auto twos = [&](int line, int from) {
    for (int e = 0; e < 2; ++e) {
      uint32_t bytes = 0;
      for (int i = 0; i < 4; ++i) bytes |= Bits(group[4 * e + i], from, kTwo) << 2 * i;
      put(line + e, bytes);
    }
  };
  const auto ones = [&](int line, int from) {
    uint32_t bytes = 0;
    for (int g = 0; g < 8; ++g) bytes |= Bits(group[g], from, kOne) << g;
    put(line, bytes);
  };
  switch (bits) {
    case 8:
      for (int g = 0; g < 8; ++g) put(g, group[g]);
      break;
    case 6: fours(); twos(4, 4); break;
    case 5: fours(); ones(4, 4); break;
    case 4: fours(); break;
    case 3: twos(0, 0); ones(2, 2); break;
    default: twos(0, 0);
  }
}

void PutHalf(uint8_t* record, int r, uint16_t bits) { std::memcpy(record + 2 * r, &bits, 2); }

// Integer scales of the `g`-th 32 values of a super-block.
void PutScales(int pack, const WeightBlock& w, int g, int r, uint8_t* record) {
  switch (pack) {
    case kPackQ2_K:
      for (int s = 0; s < 2; ++s) {
        record[64 + (2 * g + s) * 16 + r] = static_cast<uint8_t>(w.scale[s] | w.minimum[s] << 4);
      }
      break;
    case kPackQ3_K:
    case kPackQ6_K:
      for (int s = 0; s < 2; ++s) {
        record[32 + (2 * g + s) * 16 + r] = static_cast<uint8_t>(w.scale[s]);
      }
      break;
    case kPackIQ4_XS: record[32 + g * 16 + r] = static_cast<uint8_t>(w.scale[0]); break;
    default: {  // Q4_K, Q5_K
      record[64 + g * 16 + r] =
          static_cast<uint8_t>((w.scale[0] & 15) | (w.minimum[0] & 15) << 4);
      uint8_t& high = record[192 + g / 2 * 16 + r];
      high = static_cast<uint8_t>(high |
                                  (w.scale[0] >> 4 | w.minimum[0] >> 4 << 2) << g % 2 * 4);
    }
  }
}

void PackIntegers(const TensorView& raw, int64_t row, int r, uint8_t* panel) {
  const int pack = static_cast<int>(raw.dtype);
  const PackInfo& info = kPackInfo[pack];
  const char* src = raw.as<char>() + row * raw.row_bytes();
  uint8_t* records = panel + PanelCodeBytes(pack, raw.cols());
  const bool super = info.unit == 256;
  const bool has_minimum = FormatOf(raw.dtype).has_minimum;
  WeightBlock w;
  uint32_t group[8];
  for (int64_t b = 0; b < raw.cols() / 32; ++b) {
    ReadGroups(raw.dtype, src, b, &w, group);
    PutCodes(group, info.bits, r, panel + b * info.code_lines * 64);
    uint8_t* record = records + b * 32 / info.unit * info.scale_bytes;
    if (super) PutScales(pack, w, static_cast<int>(b % 8), r, record);
    if (super && b % 8 != 0) continue;
    if (pack == kPackMXFP4) {
      record[r] = static_cast<uint8_t>(w.d_bits);
    } else {
      PutHalf(record, r, w.d_bits);
      if (has_minimum) PutHalf(record + 32, r, w.m_bits);
    }
  }
}

void PackFloats(const TensorView& raw, int64_t row, int r, uint8_t* panel) {
  const int64_t size = Info(raw.dtype).block_bytes;
  const char* src = raw.as<char>() + row * raw.row_bytes();
  for (int64_t k = 0; k < raw.cols(); ++k) {
    std::memcpy(panel + (k * kPanelRows + r) * size, src + k * size, static_cast<size_t>(size));
  }
}

}  // namespace

Result<std::unique_ptr<PackedMatrix>> PackedMatrix::Make(const TensorView& raw, ThreadPool& pool) {
  LB_RETURN_IF_ERROR(CheckWeight(raw));
  std::unique_ptr<PackedMatrix> m(new PackedMatrix);
  m->rows = raw.rows();
  m->cols = raw.cols();
  m->dtype = raw.dtype;
  m->panel_bytes_ = PanelBytes(m->pack(), m->cols);
  m->bytes = m->num_panels() * m->panel_bytes_;
  m->memory_ = DeviceMemory(AllocateMemory(static_cast<size_t>(m->bytes)), &FreeMemory);
  if (m->memory_ == nullptr) {
    return Fail(ErrorCode::kOutOfMemory, "no memory for a weight of {} x {} {} ({} bytes)",
                m->rows, m->cols, Info(m->dtype).name, m->bytes);
  }
  auto* base = static_cast<uint8_t*>(m->memory_.get());
  const bool floats = kPackInfo[m->pack()].unit == 1;
  pool.ParallelFor(m->num_panels(), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t first = p * kPanelRows;
      for (int64_t row = first; row < std::min(m->rows, first + kPanelRows); ++row) {
        const int r = static_cast<int>(row - first);
        (floats ? PackFloats : PackIntegers)(raw, row, r, base + p * m->panel_bytes_);
      }
    }
  });
  return m;
}

}  // namespace lb

// One reader per packed format: how its lines become codes, its records scales. See layout.h.
#pragma once

#include "kernels/cpu/isa/simd.h"
#include "kernels/cpu/layout.h"

namespace lb::LB_ISA {

// Codes of a group by width. `lines` are those of 32 values, g the group.
LB_FN Vb Low4(const uint8_t* lines, int g) {
  const Vb v = LoadB(lines + g % 4 * 64);
  return AndB(g < 4 ? v : ShrW(v, 4), SetB(15));
}
// Two bits, at bits `to` and to + 1.
LB_FN Vb Two(const uint8_t* lines, int g, int to) {
  const Vb v = LoadB(lines + g / 4 * 64);
  const int at = g % 4 * 2;
  return AndB(at >= to ? ShrW(v, at - to) : ShlW(v, to - at), SetB(3 << to));
}
// One bit, at bit `to`.
LB_FN Vb One(const uint8_t* lines, int g, int to) {
  const Vb v = LoadB(lines);
  return AndB(g >= to ? ShrW(v, g - to) : ShlW(v, to - g), SetB(1 << to));
}

// Levels as unsigned codes: level + offset.
alignas(16) static constexpr uint8_t kIQ4Codes[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                      129, 141, 153, 166, 181, 197, 217, 241};
alignas(16) static constexpr uint8_t kMXFP4Codes[16] = {12, 13, 14, 15, 16, 18, 20, 24,
                                                        12, 11, 10, 9,  8,  6,  4,  0};

template <int kPackId>
struct FormatBase {
  static constexpr int kPack = kPackId;
  static constexpr int kUnit = kPackInfo[kPackId].unit;
  static constexpr bool kSuper = kUnit == 256;
  static constexpr int kLineBytes = kPackInfo[kPackId].code_lines * 64;
  static constexpr int kRecordBytes = kPackInfo[kPackId].scale_bytes;
  static constexpr bool kPer16 = false;
  static constexpr bool kHasMin = false;
  static constexpr int kOffset = 0;   // value = code - offset
  static constexpr int kMaxCode = 15;
  // The record's d, and its m.
  LB_FN Vf D(const uint8_t* record) { return LoadHalf(record); }
  LB_FN Vf M(const uint8_t* record) { return LoadHalf(record + 32); }
  LB_FN Vb Code(const uint8_t* lines, int g) { return Low4(lines, g); }
  LB_FN Vi Scale(const uint8_t*, int) { return SetI(1); }  // kSuper: of sub-block s
  LB_FN Vi Minimum(const uint8_t*, int) { return SetI(0); }
};

template <int kPackId>
struct Format;

template <>
struct Format<kPackQ4_0> : FormatBase<kPackQ4_0> {
  static constexpr int kOffset = 8;
};

template <>
struct Format<kPackQ4_1> : FormatBase<kPackQ4_1> {
  static constexpr bool kHasMin = true;
};

LB_FN Vb Five(const uint8_t* lines, int g) {
  return OrB(Low4(lines, g), One(lines + 256, g, 4));
}

template <>
struct Format<kPackQ5_0> : FormatBase<kPackQ5_0> {
  static constexpr int kOffset = 16, kMaxCode = 31;
  LB_FN Vb Code(const uint8_t* lines, int g) { return Five(lines, g); }
};

template <>
struct Format<kPackQ5_1> : FormatBase<kPackQ5_1> {
  static constexpr bool kHasMin = true;
  static constexpr int kMaxCode = 31;
  LB_FN Vb Code(const uint8_t* lines, int g) { return Five(lines, g); }
};

template <>
struct Format<kPackQ8_0> : FormatBase<kPackQ8_0> {
  static constexpr int kOffset = 128, kMaxCode = 255;
  LB_FN Vb Code(const uint8_t* lines, int g) { return LoadB(lines + g * 64); }
};

template <>
struct Format<kPackIQ4_NL> : FormatBase<kPackIQ4_NL> {
  static constexpr int kOffset = 128, kMaxCode = 255;
  LB_FN Vb Code(const uint8_t* lines, int g) { return Lookup(kIQ4Codes, Low4(lines, g)); }
};

template <>
struct Format<kPackMXFP4> : FormatBase<kPackMXFP4> {
  static constexpr int kOffset = 12, kMaxCode = 24;
  LB_FN Vb Code(const uint8_t* lines, int g) { return Lookup(kMXFP4Codes, Low4(lines, g)); }
  // 2^(e - 128), halved since the levels are doubled. The two that are no normal floats go by a
  // product that is exact.
  LB_FN Vf D(const uint8_t* record) {
    float d[16];
    for (int r = 0; r < 16; ++r) {
      const uint32_t e = record[r];
      const uint32_t bits = e < 2 ? 0x00200000u << e : (e - 1) << 23;
      memcpy(&d[r], &bits, 4);
    }
    return LoadF(d);
  }
};

template <>
struct Format<kPackQ2_K> : FormatBase<kPackQ2_K> {
  static constexpr bool kPer16 = true, kHasMin = true;
  static constexpr int kMaxCode = 3;
  LB_FN Vb Code(const uint8_t* lines, int g) { return Two(lines, g, 0); }
  LB_FN Vi Scale(const uint8_t* record, int s) {
    return AndI(LoadU8(record + 64 + s * 16), SetI(15));
  }
  LB_FN Vi Minimum(const uint8_t* record, int s) { return ShrI(LoadU8(record + 64 + s * 16), 4); }
};

template <>
struct Format<kPackQ3_K> : FormatBase<kPackQ3_K> {
  static constexpr bool kPer16 = true;
  static constexpr int kOffset = 4, kMaxCode = 7;
  LB_FN Vb Code(const uint8_t* lines, int g) {
    return OrB(Two(lines, g, 0), One(lines + 128, g, 2));
  }
  LB_FN Vi Scale(const uint8_t* record, int s) { return LoadS8(record + 32 + s * 16); }
};

// Six bits each of scale and minimum.
LB_FN Vi SixBits(const uint8_t* record, int s, int which) {
  const Vi low = LoadU8(record + 64 + s * 16);
  const Vi high = LoadU8(record + 192 + s / 2 * 16);
  const int at = s % 2 * 4 + which * 2;
  return OrI(which == 0 ? AndI(low, SetI(15)) : ShrI(low, 4),
             AndI(at >= 4 ? ShrI(high, at - 4) : ShlI(high, 4 - at), SetI(0x30)));
}

template <>
struct Format<kPackQ4_K> : FormatBase<kPackQ4_K> {
  static constexpr bool kHasMin = true;
  LB_FN Vi Scale(const uint8_t* record, int s) { return SixBits(record, s, 0); }
  LB_FN Vi Minimum(const uint8_t* record, int s) { return SixBits(record, s, 1); }
};

template <>
struct Format<kPackQ5_K> : FormatBase<kPackQ5_K> {
  static constexpr bool kHasMin = true;
  static constexpr int kMaxCode = 31;
  LB_FN Vb Code(const uint8_t* lines, int g) { return Five(lines, g); }
  LB_FN Vi Scale(const uint8_t* record, int s) { return SixBits(record, s, 0); }
  LB_FN Vi Minimum(const uint8_t* record, int s) { return SixBits(record, s, 1); }
};

template <>
struct Format<kPackQ6_K> : FormatBase<kPackQ6_K> {
  static constexpr bool kPer16 = true;
  static constexpr int kOffset = 32, kMaxCode = 63;
  LB_FN Vb Code(const uint8_t* lines, int g) {
    return OrB(Low4(lines, g), Two(lines + 256, g, 4));
  }
  LB_FN Vi Scale(const uint8_t* record, int s) { return LoadS8(record + 32 + s * 16); }
};

template <>
struct Format<kPackIQ4_XS> : FormatBase<kPackIQ4_XS> {
  static constexpr int kOffset = 128, kMaxCode = 255;
  LB_FN Vb Code(const uint8_t* lines, int g) { return Lookup(kIQ4Codes, Low4(lines, g)); }
  LB_FN Vi Scale(const uint8_t* record, int s) { return LoadS8(record + 32 + s * 16); }
};

}  // namespace lb::LB_ISA

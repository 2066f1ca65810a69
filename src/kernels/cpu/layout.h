// How weights lie in memory once repacked. Shared by the packer and by the kernels of every
// instruction set, so: C headers and internal linkage only.
//
// 16 rows make a panel. A panel's codes come first: for each 32 values of k, kLines[..] lines of 64
// bytes; byte 4 r + j of a line belongs to row r. With "group g" for the values 4 g .. 4 g + 3 of the
// 32 (g from 0 to 7; j picks one of the four), a line holds
//   8 bits:  group g whole, in line g
//   4 bits:  group i in the low, group i + 4 in the high halves of line i
//   2 bits:  group 4 e + i in bits 2 i and 2 i + 1 of line e
//   1 bit:   group g in bit g of the one line
// and a format of 5 bits has four lines of 4 bits, then one of 1 bit; 6 bits: 4, then 2; 3 bits: 2,
// then 1. Then come the panel's scales:
//   own scale for 32 (kBlock): 16 x fp16 d [+ 16 x fp16 m]; MXFP4: 16 exponent bytes
//   super-blocks of 256 (kSuper): 16 x fp16 d [+ 16 x fp16 dmin], then
//     Q2_K           16 times (16 values of k each) 16 bytes: scale in the low, minimum in the high half
//     Q3_K, Q6_K     16 times 16 x int8 scale
//     IQ4_XS          8 times 16 x int8 scale
//     Q4_K, Q5_K      8 times 16 bytes: low four bits of scale (low half) and of minimum (high half);
//                     then 4 times 16 bytes, each for two of the eight: top two bits of scale and of
//                     minimum of the first (bits 0-3) and of the second (bits 4-7)
// Float weights: for each k, the 16 rows' values as they are in the file.
// Rows beyond the matrix's last are zero.
#pragma once

#include <stdint.h>

namespace lb {

// The order of DType; checked in packed_matrix.cc.
enum Pack {
  kPackF32, kPackF16, kPackBF16,
  kPackQ4_0, kPackQ4_1, kPackQ5_0, kPackQ5_1, kPackQ8_0,
  kPackQ2_K, kPackQ3_K, kPackQ4_K, kPackQ5_K, kPackQ6_K,
  kPackIQ4_NL, kPackIQ4_XS, kPackMXFP4,
  kNumPacks
};
static constexpr int kCacheFp8 = 17;  // DType too, of keys and values only; checked in packed_matrix.cc

static constexpr int kPanelRows = 16;

struct PackInfo {
  int unit;         // values of k that share one record of scales; 1: float weights
  int code_lines;   // lines of 64 bytes for 32 values
  int scale_bytes;  // bytes of one record of scales
  int bits;         // of a code
};

static constexpr PackInfo kPackInfo[kNumPacks] = {
    {1, 0, 0, 32},   {1, 0, 0, 16},  {1, 0, 0, 16},
    {32, 4, 32, 4},  {32, 4, 64, 4}, {32, 5, 32, 5}, {32, 5, 64, 5}, {32, 8, 32, 8},
    {256, 2, 64 + 256, 2},           // Q2_K
    {256, 3, 32 + 256, 3},           // Q3_K
    {256, 4, 64 + 192, 4},           // Q4_K
    {256, 5, 64 + 192, 5},           // Q5_K
    {256, 6, 32 + 256, 6},           // Q6_K
    {32, 4, 32, 4},                  // IQ4_NL
    {256, 4, 32 + 128, 4},           // IQ4_XS
    {32, 4, 16, 4},                  // MXFP4
};

// Bytes of a panel's codes, and of the whole panel (a multiple of 64).
static constexpr int64_t PanelCodeBytes(int pack, int64_t cols) {
  return kPackInfo[pack].unit == 1 ? cols * kPanelRows * (kPackInfo[pack].bits / 8)
                                   : cols / 32 * kPackInfo[pack].code_lines * 64;
}
static constexpr int64_t PanelBytes(int pack, int64_t cols) {
  const int64_t scales =
      kPackInfo[pack].unit == 1 ? 0 : cols / kPackInfo[pack].unit * kPackInfo[pack].scale_bytes;
  return (PanelCodeBytes(pack, cols) + scales + 63) / 64 * 64;
}

// What goes with 32 quantised activations of one row: x is about d * q.
struct ActBlock {
  float d;
  float dsum;       // d * (sum of all 32 q)
  int32_t sum[2];   // of q[0..15], of q[16..31]
  int16_t pair[4];  // half h of the q: pair[2 h] = sum over i of q[4 i] + q[4 i + 1], pair[2 h + 1] = of
                    // q[4 i + 2] + q[4 i + 3]
  int16_t pairs[2];  // pair[0] + pair[2], pair[1] + pair[3]
  int16_t unused[2];
};
static_assert(sizeof(ActBlock) == 32, "");

}  // namespace lb

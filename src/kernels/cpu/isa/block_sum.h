// The inner loop: 32 values of k, 16 rows, NT tokens, as exact integers. One body for instruction
// sets that sum byte products in 16 bits, one for those with a 4-byte dot product.
#pragma once

#include "kernels/cpu/isa/formats.h"

namespace lb::LB_ISA {

#ifdef LB_MADD16
static constexpr bool kMadd16 = true;
#else
static constexpr bool kMadd16 = false;
#endif

// Formats whose products do not fit 16 bits even in pairs of unsigned bytes: handled as signed bytes.
template <typename F>
static constexpr bool kWide = F::kOffset == 128;

// Integer scales enter the sums as 16-bit pairs (a free factor of MaddW) or as floats; both exact.
template <typename F>
static constexpr bool kPairScales = kMadd16 && !kWide<F>;

// A code in the form the products take.
template <typename F>
LB_FN Vb Operand(Vb code) {
#ifdef LB_MADD16
  if constexpr (kWide<F>) return XorB(code, SetB(128));
#else
  if constexpr (kSignedDot && F::kOffset != 0) return SubB(code, SetB(F::kOffset));
#endif
  return code;
}

// Where operands come from: unpacked on the way, or from scratch that holds them ready.
template <typename F>
struct FromPanel {
  static constexpr int kBytes = F::kLineBytes;
  LB_FN Vb Get(const uint8_t* lines, int g) { return Operand<F>(F::Code(lines, g)); }
};
template <typename F>
struct FromScratch {
  static constexpr int kBytes = 512;
  LB_FN Vb Get(const uint8_t* lines, int g) { return LoadB(lines + g * 64); }
};

// The bytes of one prepared scale.
static constexpr int kScaleBytes = 64;

template <typename F>
LB_FN void PrepareScale(Vi scale, uint8_t* out) {
  if constexpr (kPairScales<F>) {
    // Bits, not a float.
    StoreF(reinterpret_cast<float*>(out), AsFloat(OrI(AndI(scale, SetI(0xffff)), ShlI(scale, 16))));
  } else {
    StoreF(reinterpret_cast<float*>(out), ToFloat(scale));
  }
}
LB_FN Vf ScaleF(const uint8_t* scale) { return LoadF(reinterpret_cast<const float*>(scale)); }

#ifdef LB_MADD16

// Sum over k of value * q as a float (exact: below 2^24), times the integer scales when F has them.
// q, blocks: where each token's 32 values begin, one stride apart. scales: prepared, of this block.
template <typename F, typename From, int NT>
LB_FN void BlockSum(const uint8_t* lines, const int8_t* q, int64_t q_stride, const ActBlock* blocks,
                    int64_t block_stride, const uint8_t* scales, Vf* out) {
  const Vh ones = SetH(1);
  if constexpr (kWide<F>) {
    Vi acc[NT];
    LB_UNROLL for (int g = 0; g < 8; ++g) {
      const Vb w = From::Get(lines, g);
      const Vb magnitude = AbsB(w);
      LB_UNROLL for (int t = 0; t < NT; ++t) {
        const Vi p = MaddW(MaddSigned(w, magnitude, q + t * q_stride + g * 4), ones);
        acc[t] = g == 0 ? p : AddI(acc[t], p);
      }
    }
    LB_UNROLL for (int t = 0; t < NT; ++t) {
      out[t] = ToFloat(acc[t]);
      if constexpr (F::kSuper) out[t] = Mul(out[t], ScaleF(scales));
    }
  } else {
    // A 16-bit lane takes two products of each group. They may wrap on the way as long as the value
    // at the end fits: 16 products of an unsigned code up to 16 do, and 8 of any other; with the
    // offset taken off, 16 of a code up to 31 and 8 of one up to 63.
    constexpr bool kHalves = F::kPer16 || (F::kOffset == 0 && F::kMaxCode > 16);
    constexpr int kGroups = kHalves ? 4 : 8;
    Vi sum[NT];
    LB_UNROLL for (int h = 0; h < 8 / kGroups; ++h) {
      Vh acc[NT];
      if constexpr (F::kOffset != 0) {
        LB_UNROLL for (int t = 0; t < NT; ++t) {
          const ActBlock& block = blocks[t * block_stride];
          const int16_t* pair = kHalves ? block.pair + 2 * h : block.pairs;
          int32_t word;
          memcpy(&word, pair, 4);
          acc[t] = MulH(SetI(word), SetH(-F::kOffset));
        }
      }
      LB_UNROLL for (int i = 0; i < kGroups; ++i) {
        const int g = h * kGroups + i;
        const Vb w = From::Get(lines, g);
        LB_UNROLL for (int t = 0; t < NT; ++t) {
          const Vh p = Maddubs(w, q + t * q_stride + g * 4);
          acc[t] = F::kOffset == 0 && i == 0 ? p : AddH(acc[t], p);
        }
      }
      const uint8_t* scale = scales + (F::kPer16 ? h * kScaleBytes : 0);
      LB_UNROLL for (int t = 0; t < NT; ++t) {
        const Vi p = MaddW(acc[t], F::kSuper ? LoadB(scale) : ones);
        sum[t] = h == 0 ? p : AddI(sum[t], p);
      }
    }
    LB_UNROLL for (int t = 0; t < NT; ++t) out[t] = ToFloat(sum[t]);
  }
}

#else

template <typename F, typename From, int NT>
LB_FN void BlockSum(const uint8_t* lines, const int8_t* q, int64_t q_stride, const ActBlock* blocks,
                    int64_t block_stride, const uint8_t* scales, Vf* out) {
  constexpr int kGroups = F::kPer16 ? 4 : 8;
  LB_UNROLL for (int h = 0; h < 8 / kGroups; ++h) {
    Vi acc[NT];
    LB_UNROLL for (int t = 0; t < NT; ++t) {
      int32_t start = 0;
      if constexpr (F::kOffset != 0 && !kSignedDot) {
        const int32_t* sum = blocks[t * block_stride].sum;
        start = -F::kOffset * (F::kPer16 ? sum[h] : sum[0] + sum[1]);
      }
      acc[t] = SetI(start);
    }
    LB_UNROLL for (int i = 0; i < kGroups; ++i) {
      const int g = h * kGroups + i;
      const Vb w = From::Get(lines, g);
      LB_UNROLL for (int t = 0; t < NT; ++t) acc[t] = Dot4(acc[t], w, q + t * q_stride + g * 4);
    }
    LB_UNROLL for (int t = 0; t < NT; ++t) {
      const Vf f = ToFloat(acc[t]);
      if constexpr (!F::kSuper) {
        out[t] = f;
      } else {
        const Vf scale = ScaleF(scales + h * kScaleBytes);
        out[t] = h == 0 ? Mul(f, scale) : Fma(f, scale, out[t]);
      }
    }
  }
}

#endif

}  // namespace lb::LB_ISA

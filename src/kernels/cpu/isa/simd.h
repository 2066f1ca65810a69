// Sixteen numbers at a time, in the words of the instruction set this unit is built for. All kernels
// are written once over these; LB_ISA names the namespace (and is set by the build).
//
// Vf: 16 floats. Vi: 16 int32. Vb: 64 bytes, 4 for each of 16 rows. The same operation gives the same
// bits everywhere; Fma rounds once.
//   LB_MADD16: products of bytes are summed in 16 bits first (Maddubs, MaddW on Vh: 32 int16).
//   otherwise:  Dot4(acc, w, a): acc[r] += sum over j of w[4 r + j] * a[j] in 32 bits; w is unsigned,
//               or signed where kSignedDot says so.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

// Intrinsics pay only when all is inlined and unrolled. Plain C++ would take minutes to compile so, as
// would a build with sanitizers (LB_PLAIN_LOOPS).
#if (defined(__AVX2__) || defined(__ARM_FEATURE_DOTPROD)) && !defined(LB_PLAIN_LOOPS)
#define LB_FN static inline __attribute__((always_inline))
#if defined(__clang__)
#define LB_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LB_UNROLL _Pragma("GCC unroll 16")
#endif
#else
#define LB_FN static inline
#define LB_UNROLL
#endif

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
#include "kernels/cpu/isa/simd_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "kernels/cpu/isa/simd_avx2.h"
#elif defined(__ARM_FEATURE_DOTPROD)
#include "kernels/cpu/isa/simd_neon.h"
#else
#include "kernels/cpu/isa/simd_portable.h"
#endif

#if defined(__AVX2__)
#include "kernels/cpu/isa/half_x86.h"
#else
#include "kernels/cpu/isa/half_plain.h"
#endif

namespace lb::LB_ISA {

// The four bytes at p, as one number.
LB_FN int32_t Word(const void* p) {
  int32_t v;
  memcpy(&v, p, 4);
  return v;
}

}  // namespace lb::LB_ISA

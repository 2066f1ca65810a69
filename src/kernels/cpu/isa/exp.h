// exp and tanh: one polynomial, the same operations in every instruction set.
#pragma once

#include "kernels/cpu/isa/simd.h"

namespace lb::LB_ISA {

// Within 2 units in the last place for -87 < x < 88, clamped outside; exactly 1 at 0; NaN stays NaN.
LB_FN Vf Exp(Vf x) {
  // The bound first: Min and Max give their second argument when one is no number.
  x = Min(Set(88.0f), Max(Set(-87.0f), x));
  const Vi n = ToInt(Mul(x, Set(1.44269504088896f)));
  const Vf nf = ToFloat(n);
  // x - n ln 2 in two parts: the first product is exact (ln 2 cut to 11 bits).
  Vf r = Fma(nf, Set(-0.693359375f), x);
  r = Fma(nf, Set(2.12194440054690583e-4f), r);
  // |r| < 0.35: the Taylor series to r^7 / 7! is exact to float.
  Vf p = Set(1.0f / 5040);
  p = Fma(p, r, Set(1.0f / 720));
  p = Fma(p, r, Set(1.0f / 120));
  p = Fma(p, r, Set(1.0f / 24));
  p = Fma(p, r, Set(1.0f / 6));
  p = Fma(p, r, Set(0.5f));
  p = Fma(p, r, Set(1.0f));
  p = Fma(p, r, Set(1.0f));
  return Mul(p, AsFloat(ShlI(AddI(n, SetI(127)), 23)));
}

// 2^x within 1 unit in the last place for -125 < x < 126; below: 2^-125, above: not to be asked for.
// Exactly 1 at 0; NaN stays NaN.
LB_FN Vf Exp2(Vf x) {
  x = Max(Set(-125.0f), x);  // gives x when that is no number
  const Vi n = ToInt(x);
  const Vf r = Sub(x, ToFloat(n));
  // The polynomial of least relative error on [-0.5, 0.5] that is 1 at 0.
  Vf p = Set(1.53533620e-4f);
  p = Fma(p, r, Set(1.33988750e-3f));
  p = Fma(p, r, Set(9.61843692e-3f));
  p = Fma(p, r, Set(5.55033237e-2f));
  p = Fma(p, r, Set(2.40226477e-1f));
  p = Fma(p, r, Set(6.93147182e-1f));
  p = Fma(p, r, Set(1.0f));
  // p is about 1: n more in the exponent.
  return AsFloat(AddI(AsInt(p), ShlI(n, 23)));
}

// 1 / (1 + e^-x).
LB_FN Vf Sigmoid(Vf x) {
  return Div(Set(1.0f), Add(Set(1.0f), Exp(Sub(Set(0.0f), x))));
}

// Absolute error below 2e-7.
LB_FN Vf Tanh(Vf x) { return Fma(Set(2.0f), Sigmoid(Add(x, x)), Set(-1.0f)); }

// Absolute error below 5e-7. Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
LB_FN Vf Erf(Vf x) {
  const Vf a = Abs(x);
  const Vf t = Div(Set(1.0f), Fma(a, Set(0.3275911f), Set(1.0f)));
  Vf p = Set(1.061405429f);
  p = Fma(p, t, Set(-1.453152027f));
  p = Fma(p, t, Set(1.421413741f));
  p = Fma(p, t, Set(-0.284496736f));
  p = Fma(p, t, Set(0.254829592f));
  const Vf y = Sub(Set(1.0f), Mul(Mul(p, t), Exp(Sub(Set(0.0f), Mul(a, a)))));
  // With the sign of x: y lies in [0, 1], and a / x is 1 or -1 where x is not 0.
  return Mul(y, Div(x, Max(a, Set(1e-30f))));
}

}  // namespace lb::LB_ISA

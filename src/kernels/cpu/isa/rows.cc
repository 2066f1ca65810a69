// Operations on one row: quantising activations, norms, activation functions, rotation.
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/isa/exp.h"
#include "kernels/cpu/isa/tables.h"
#include "quant/half.h"

namespace lb::LB_ISA {
namespace {

// Up to 15 values at the end of a row, zeros behind them.
LB_FN Vf LoadTail(const float* p, int64_t n) {
  float v[16] = {};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return LoadF(v);
}
LB_FN void StoreTail(float* p, int64_t n, Vf x) {
  float v[16];
  StoreF(v, x);
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}

// fn(values) for each 16 of the n at y, results in their place.
template <typename Fn>
LB_FN void ForEach16(int64_t n, float* y, const Fn& fn) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) StoreF(y + i, fn(i, int64_t{16}));
  if (i < n) StoreTail(y + i, n - i, fn(i, n - i));
}
LB_FN Vf LoadUpTo16(const float* p, int64_t n) { return n == 16 ? LoadF(p) : LoadTail(p, n); }

// 32 values to integers; what the rounding leaves stays in their place.
LB_FN void Quantise32(Vf* lo, Vf* hi, int8_t* q, ActBlock* block) {
  const float largest = Largest(Max(Abs(*lo), Abs(*hi)));
  // Zero, or NaN when one of the 32 is no number or infinite: it must show in the product.
  const float poison = Sum(Add(Mul(*lo, Set(0.0f)), Mul(*hi, Set(0.0f))));
  const bool tiny = !(largest >= 1e-30f);
  const Vf inverse = Set(tiny ? 0.0f : 127.0f / largest);
  const Vi q_lo = ToInt(Mul(*lo, inverse)), q_hi = ToInt(Mul(*hi, inverse));
  StoreS8(q, q_lo);
  StoreS8(q + 16, q_hi);
  block->d = (tiny ? 0.0f : largest / 127.0f) + poison;
  SumPairs(q, block->pair);
  block->sum[0] = block->pair[0] + block->pair[1];
  block->sum[1] = block->pair[2] + block->pair[3];
  block->pairs[0] = static_cast<int16_t>(block->pair[0] + block->pair[2]);
  block->pairs[1] = static_cast<int16_t>(block->pair[1] + block->pair[3]);
  block->dsum = block->d * static_cast<float>(block->sum[0] + block->sum[1]);
  const Vf minus_d = Set(-block->d);
  *lo = Fma(minus_d, ToFloat(q_lo), *lo);
  *hi = Fma(minus_d, ToFloat(q_hi), *hi);
}

void Quantise(const float* x, int64_t num_blocks, int8_t* q, ActBlock* blocks, int8_t* q2,
              ActBlock* blocks2) {
  for (int64_t b = 0; b < num_blocks; ++b) {
    Vf lo = LoadF(x + 32 * b), hi = LoadF(x + 32 * b + 16);
    Quantise32(&lo, &hi, q + 32 * b, &blocks[b]);
    if (q2 != nullptr) Quantise32(&lo, &hi, q2 + 32 * b, &blocks2[b]);
  }
}

void RmsNorm(const float* x, const float* weight, float eps, int64_t n, float* y) {
  Vf sum = Set(0.0f);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const Vf v = LoadF(x + i);
    sum = Fma(v, v, sum);
  }
  if (i < n) {
    const Vf v = LoadTail(x + i, n - i);
    sum = Fma(v, v, sum);
  }
  const Vf scale = Set(1.0f / sqrtf(Sum(sum) / static_cast<float>(n) + eps));
  ForEach16(n, y, [&](int64_t at, int64_t m) {
    return Mul(Mul(LoadUpTo16(x + at, m), scale), LoadUpTo16(weight + at, m));
  });
}

void LayerNorm(const float* x, const float* weight, const float* bias, float eps, int64_t n,
               float* y) {
  const int64_t whole = n / 16 * 16;
  Vf sum = Set(0.0f);
  for (int64_t i = 0; i < whole; i += 16) sum = Add(sum, LoadF(x + i));
  if (whole < n) sum = Add(sum, LoadTail(x + whole, n - whole));
  const Vf mean = Set(Sum(sum) / static_cast<float>(n));
  Vf squares = Set(0.0f);
  for (int64_t i = 0; i < whole; i += 16) {
    const Vf d = Sub(LoadF(x + i), mean);
    squares = Fma(d, d, squares);
  }
  if (whole < n) {
    const Vf d = KeepRange(Sub(LoadTail(x + whole, n - whole), mean), 0,
                           static_cast<int>(n - whole), Set(0.0f));
    squares = Fma(d, d, squares);
  }
  const Vf scale = Set(1.0f / sqrtf(Sum(squares) / static_cast<float>(n) + eps));
  ForEach16(n, y, [&](int64_t at, int64_t m) {
    return Fma(Mul(Sub(LoadUpTo16(x + at, m), mean), scale), LoadUpTo16(weight + at, m),
               LoadUpTo16(bias + at, m));
  });
}

// The numbers of Activation in kernels/ops.h, checked there.
enum { kSilu, kGeluTanh, kGelu, kRelu };

LB_FN Vf Activate(int act, Vf x) {
  if (act == kSilu) return Div(x, Add(Set(1.0f), Exp(Sub(Set(0.0f), x))));
  if (act == kGeluTanh) {
    // 0.5 (1 + tanh u) = sigmoid(2 u)
    const Vf cube = Mul(Mul(x, x), x);
    const Vf u2 = Mul(Set(1.59576912160573071f), Fma(cube, Set(0.044715f), x));
    return Mul(x, Sigmoid(u2));
  }
  if (act == kGelu) {
    return Mul(Mul(Set(0.5f), x), Add(Set(1.0f), Erf(Mul(x, Set(0.70710678118654752440f)))));
  }
  return Max(x, Set(0.0f));
}

void GluMul(int act, const float* gate, const float* up, int64_t n, float* y) {
  ForEach16(n, y, [&](int64_t at, int64_t m) {
    return Mul(Activate(act, LoadUpTo16(gate + at, m)), LoadUpTo16(up + at, m));
  });
}

void ActivateRow(int act, float* x, int64_t n) {
  ForEach16(n, x, [&](int64_t at, int64_t m) { return Activate(act, LoadUpTo16(x + at, m)); });
}

void AddRow(const float* x, int64_t n, float* y) {
  ForEach16(n, y, [&](int64_t at, int64_t m) {
    return Add(LoadUpTo16(y + at, m), LoadUpTo16(x + at, m));
  });
}

void Softcap(float* x, float cap, int64_t n) {
  ForEach16(n, x, [&](int64_t at, int64_t m) {
    return Mul(Set(cap), Tanh(Div(LoadUpTo16(x + at, m), Set(cap))));
  });
}

void Rope(float* head, bool halves, int dims, const float* cosines, const float* sines) {
  const int pairs = dims / 2;
  int i = 0;
  if (halves) {
    for (; i + 16 <= pairs; i += 16) {
      const Vf a = LoadF(head + i), b = LoadF(head + pairs + i);
      const Vf c = LoadF(cosines + i), s = LoadF(sines + i);
      StoreF(head + i, Sub(Mul(a, c), Mul(b, s)));
      StoreF(head + pairs + i, Add(Mul(a, s), Mul(b, c)));
    }
  } else {
    static constexpr float kSigns[16] = {-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1};
    for (; i + 8 <= pairs; i += 8) {
      const Vf ab = LoadF(head + 2 * i), c = LoadTwice(cosines + i), s = Mul(LoadTwice(sines + i), LoadF(kSigns));
      StoreF(head + 2 * i, Add(Mul(ab, c), Mul(SwapPairs(ab), s)));
    }
  }
  for (; i < pairs; ++i) {
    float* a = head + (halves ? i : 2 * i);
    float* b = head + (halves ? i + pairs : 2 * i + 1);
    const float x = *a, y = *b;
    *a = x * cosines[i] - y * sines[i];
    *b = x * sines[i] + y * cosines[i];
  }
}

void StoreRow(int dtype, const float* x, int64_t n, void* row) {
  if (dtype == kPackF32) {
    memcpy(row, x, static_cast<size_t>(n) * 4);
    return;
  }
  uint16_t* out = static_cast<uint16_t*>(row);
  int64_t i = 0;
  if (dtype == kPackF16) {
    for (; i + 16 <= n; i += 16) StoreHalf(out + i, LoadF(x + i));
    for (; i < n; ++i) out[i] = quant::HalfFromFloat(x[i]);
  } else {
    for (; i < n; ++i) out[i] = quant::Bf16FromFloat(x[i]);
  }
}

}  // namespace

void SetRows(CpuKernels* k) {
  k->quantise = Quantise;
  k->rms_norm = RmsNorm;
  k->layer_norm = LayerNorm;
  k->activate = ActivateRow;
  k->glu_mul = GluMul;
  k->add = AddRow;
  k->softcap = Softcap;
  k->rope = Rope;
  k->store_row = StoreRow;
}

}  // namespace lb::LB_ISA

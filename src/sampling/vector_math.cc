#include "sampling/vector_math.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>

namespace lb::sampling {
namespace {

// The compiler's own vectors (GCC and Clang, any machine): four lanes, because that is what the
// baseline of every target has. Comparisons give lanes of 0 or -1; a cast between them keeps bits.
typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));
constexpr size_t kLanes = 4;
constexpr size_t kUnroll = 4;
constexpr size_t kStep = kLanes * kUnroll;
constexpr size_t kBlock = 1024;  // values per double-precision partial sum
constexpr float kNegInf = -std::numeric_limits<float>::infinity();

inline Floats Load(const float* from) {
  Floats v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}

inline Floats Exp(Floats x) {
  // x = n ln 2 + r, |r| <= ln 2 / 2; adding 1.5 * 2^23 rounds to the nearest integer and leaves it
  // in the low bits, which then become the exponent. The polynomial is Cephes' expf.
  const Floats least = Floats{} - 87.3f;
  const Ints below = x < least;
  const Floats clamped = below ? least : x;
  const Floats shifted = clamped * 1.44269504f + 12582912.0f;
  const Floats n = shifted - 12582912.0f;
  const Floats r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const Ints exponent = ((Ints)shifted - 0x4B400000 + 127) << 23;
  return below ? Floats{} : p * (Floats)exponent;
}

// A tail shorter than a step, filled up with `filler`.
struct Tail {
  Tail(std::span<const float> values, size_t begin, float filler) {
    std::fill(data, data + kStep, filler);
    std::copy(values.begin() + static_cast<ptrdiff_t>(begin), values.end(), data);
  }
  float data[kStep];
};

// Calls step(pointer to kStep values) over all of them.
template <typename Step>
inline void ForSteps(std::span<const float> values, float filler, Step step) {
  size_t i = 0;
  for (; i + kStep <= values.size(); i += kStep) step(values.data() + i);
  if (i < values.size()) step(Tail(values, i, filler).data);
}

}  // namespace

float ExpNegative(float x) { return Exp(Floats{x, x, x, x})[0]; }

bool FiniteMax(std::span<const float> values, float* max) {
  if (values.empty()) {
    *max = kNegInf;
    return true;
  }
  Floats best[kUnroll];
  Ints bad[kUnroll] = {};
  std::fill(best, best + kUnroll, Floats{} + kNegInf);
  constexpr int32_t kExponent = 0x7F800000;
  ForSteps(values, values[0], [&](const float* v) {
    for (size_t j = 0; j < kUnroll; ++j) {
      const Floats x = Load(v + j * kLanes);
      best[j] = x > best[j] ? x : best[j];
      bad[j] |= ((Ints)x & kExponent) == kExponent;
    }
  });
  *max = kNegInf;
  int32_t any = 0;
  for (size_t j = 0; j < kUnroll; ++j) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      *max = std::max(*max, best[j][lane]);
      any |= bad[j][lane];
    }
  }
  return any == 0;
}

float Max(std::span<const float> values) {
  float max = kNegInf;
  static_cast<void>(FiniteMax(values, &max));
  return max;
}

bool AnyAbove(const float* values, float limit) {
  Ints any = {};
  for (size_t j = 0; j < kScan; j += kLanes) any |= Load(values + j) > limit;
  return (any[0] | any[1] | any[2] | any[3]) != 0;
}

int IndexOf(std::span<const float> values, float value) {
  return static_cast<int>(std::find(values.begin(), values.end(), value) - values.begin());
}

double SumExp(std::span<const float> values, float max, float least) {
  double sum = 0;
  for (size_t begin = 0; begin < values.size(); begin += kBlock) {
    const size_t count = std::min(kBlock, values.size() - begin);
    Floats lanes[kUnroll] = {};
    ForSteps(values.subspan(begin, count), kNegInf, [&](const float* v) {
      for (size_t j = 0; j < kUnroll; ++j) {
        const Floats x = Load(v + j * kLanes);
        lanes[j] += x < least ? Floats{} : Exp(x - max);
      }
    });
    const Floats block = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    sum += (double{block[0]} + block[1]) + (double{block[2]} + block[3]);
  }
  return sum;
}

}  // namespace lb::sampling

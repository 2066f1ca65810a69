// Passes over a whole vocabulary of logits, in vector code. Sums have a fixed
// order: the same input gives the same bits on every machine.
#pragma once

#include <cstddef>
#include <limits>
#include <span>

namespace lb::sampling {

// e^x for x <= 0 to 2 units in the last place; 0 below -87.3, and so for -infinity.
float ExpNegative(float x);

// True when every value is finite; then *max is the greatest.
bool FiniteMax(std::span<const float> values, float* max);

// The greatest value, -infinity of an empty span. Values may be -infinity, not NaN.
float Max(std::span<const float> values);

// The first index of `value`, which is there.
int IndexOf(std::span<const float> values, float value);

// Whether one of the kScan values is greater than `limit`.
inline constexpr size_t kScan = 32;
bool AnyAbove(const float* values, float limit);

// Sum of e^(x - max) over the values of at least `least`; max is at least the greatest value.
double SumExp(std::span<const float> values, float max,
              float least = -std::numeric_limits<float>::infinity());

}  // namespace lb::sampling

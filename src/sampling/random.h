// Random numbers that are a function of what they are for, not of when they are asked for.
#pragma once

#include <array>
#include <cstdint>

namespace lb::sampling {

// Philox4x32-10: a bijection of the 128-bit counter, chosen by the 64-bit key. Source: Salmon,
// Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// Independent streams of one (seed, position).
enum class Stream : uint32_t { kToken = 0, kXtc = 1 };

// Uniform in [0, 1), 53 random bits.
double Uniform(uint64_t seed, uint64_t position, Stream stream);

}  // namespace lb::sampling

// An integer that cannot be mistaken for another: a BlockId is not a SequenceId.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace lb {

template <typename Tag, typename Int = int32_t>
struct StrongId {
  Int value{};

  constexpr StrongId() = default;
  constexpr explicit StrongId(Int v) : value(v) {}
  constexpr auto operator<=>(const StrongId&) const = default;
};

// The id of one token of the model's vocabulary. A plain integer, since arrays of them go to the
// kernels and to clients as they are.
using TokenId = int32_t;

}  // namespace lb

template <typename Tag, typename Int>
struct std::hash<lb::StrongId<Tag, Int>> {
  size_t operator()(const lb::StrongId<Tag, Int>& id) const { return std::hash<Int>()(id.value); }
};

// Which adapters a request has, and how strongly.
#pragma once

#include <compare>

namespace lb {

// One adapter of Model::adapters(). A request has a list of these, in rising order of the number,
// none twice and none of scale 0: equal lists mean equal keys and values.
struct AdapterUse {
  int adapter = 0;
  float scale = 1.0f;
  auto operator<=>(const AdapterUse&) const = default;
};

}  // namespace lb

// How a model's layers are shared among several GPUs.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lb::app {

// The shares that --tensor-split gives, device by device: numbers of at least 0 with "," or "/" between, one of them more than 0.
Result<std::vector<double>> ParseShares(std::string_view text);

// How many of `num_layers` layers each device gets, in order, so that the first n devices have what their shares are of all, rounded. A
// device may get none.
std::vector<int> ShareLayers(std::span<const double> shares, int num_layers);

}  // namespace lb::app

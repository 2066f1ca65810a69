#include "app/gpu_split.h"

#include <charconv>
#include <cmath>
#include <numeric>

namespace lb::app {

Result<std::vector<double>> ParseShares(std::string_view text) {
  std::vector<double> shares;
  const char* at = text.data();
  const char* end = at + text.size();
  while (true) {
    double share = 0;
    const auto [rest, ec] = std::from_chars(at, end, share);
    const bool separated = rest == end || *rest == ',' || *rest == '/';
    if (ec != std::errc() || !separated || !(share >= 0) || !std::isfinite(share)) {
      return Fail(ErrorCode::kInvalidArgument, "--tensor-split {}: share {} is no number of at least 0", text, shares.size() + 1);
    }
    shares.push_back(share);
    if (rest == end) break;
    at = rest + 1;
  }
  if (std::accumulate(shares.begin(), shares.end(), 0.0) > 0) return shares;
  return Fail(ErrorCode::kInvalidArgument, "--tensor-split {}: no device gets anything", text);
}

std::vector<int> ShareLayers(std::span<const double> shares, int num_layers) {
  const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
  std::vector<int> layers;
  double before = 0;
  int given = 0;
  for (const double share : shares) {
    before += share;
    const int upto = static_cast<int>(std::lround(before / all * num_layers));
    layers.push_back(upto - given);
    given = upto;
  }
  return layers;
}

}  // namespace lb::app

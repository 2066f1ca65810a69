#include <algorithm>
#include <cmath>

#include "sampling/stages.h"

namespace lb::sampling {

void ApplyTemperature(const SamplingParams& params, Candidates& candidates) {
  float temperature = params.temperature;
  if (params.dynatemp_range > 0.0f) {
    candidates.FillProbabilities();
    const std::vector<Candidate>& list = candidates.List();
    if (list.size() < 2) return;
    double entropy = 0;
    for (const Candidate& c : list) {
      if (c.p > 0) entropy -= c.p * std::log(c.p);
    }
    const double share = std::clamp(entropy / std::log(static_cast<double>(list.size())), 0.0, 1.0);
    const double least = std::max(0.0f, params.temperature - params.dynatemp_range);
    const double most = double{params.temperature} + params.dynatemp_range;
    temperature = static_cast<float>(least + (most - least) *
                                                 std::pow(share, double{params.dynatemp_exponent}));
  }
  if (temperature == 1.0f) return;
  // Below this the division would only say "the best" in a way that overflows.
  constexpr float kCold = 1e-6f;
  if (temperature <= kCold) {
    candidates.KeepBest();
  } else {
    candidates.Scale(1.0f / temperature);
  }
}

}  // namespace lb::sampling

#include "model/layers/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/printable.h"

namespace lb {
namespace {

// The (fractional) pair of dimensions that turns `turns` times within the original context.
double PairOfTurns(const RopeSpec& spec, double turns) {
  return spec.dims * std::log(spec.original_context / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(spec.base));
}

// Logarithmic growth of the attention temperature with the stretch (YaRN, section 3.4).
double YarnScale(double factor, double multiplier) {
  return factor <= 1 ? 1.0 : 0.1 * multiplier * std::log(factor) + 1.0;
}

}  // namespace

RopeSpec ReadRopeSpec(ConfigReader& keys, const ModelConfig& config, RopeStyle style) {
  RopeSpec spec;
  spec.style = style;
  spec.dims = keys.Int("rope.dimension_count", 2, config.k_dim, config.k_dim);
  if (spec.dims % 2 != 0) {
    keys.Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} is {}, must be even", keys.Key("rope.dimension_count"), spec.dims));
  }
  spec.base = keys.Float("rope.freq_base", 1.0 + 1e-6, 1e15, 10000.0);
  // Files of 2023 have only scale_linear.
  const double linear = keys.Float("rope.scale_linear", 1e-3, 1e6, 1.0);
  const std::string type = keys.String("rope.scaling.type", linear != 1.0 ? "linear" : "none");
  spec.factor = keys.Float("rope.scaling.factor", 1e-3, 1e6, linear);
  if (type == "linear") {
    spec.scaling = RopeScaling::kLinear;
  } else if (type == "yarn") {
    spec.scaling = RopeScaling::kYarn;
  } else if (type == "longrope") {
    spec.scaling = RopeScaling::kLongRope;
  } else if (type != "none") {
    keys.Fail(ErrorCode::kUnsupported,
              fmt::format("{} is \"{}\"; known: none, linear, yarn, longrope",
                          keys.Key("rope.scaling.type"), Printable(type)));
  }
  spec.original_context =
      keys.Int("rope.scaling.original_context_length", 1, 1 << 30, config.context_length);
  spec.attention_factor = keys.Float("rope.scaling.attn_factor", 1e-3, 1e3, 1.0);
  spec.beta_fast = keys.Float("rope.scaling.yarn_beta_fast", 1e-3, 1e6, 32.0);
  spec.beta_slow = keys.Float("rope.scaling.yarn_beta_slow", 1e-3, 1e6, 1.0);
  spec.log_multiplier = keys.Float("rope.scaling.yarn_log_multiplier", 0, 1e3, 0.0);
  return spec;
}

std::vector<float> RopeFrequencies(const RopeSpec& spec, const std::vector<float>& factors) {
  const int pairs = spec.dims / 2;
  CHECK(factors.empty() || factors.size() == static_cast<size_t>(pairs));
  double low = 0, high = 0;
  if (spec.scaling == RopeScaling::kYarn) {
    low = std::max(0.0, std::floor(PairOfTurns(spec, spec.beta_fast)));
    high = std::min(spec.dims - 1.0, std::ceil(PairOfTurns(spec, spec.beta_slow)));
  }
  std::vector<float> result(pairs);
  for (int i = 0; i < pairs; ++i) {
    double freq = std::pow(spec.base, -2.0 * i / spec.dims);
    if (!factors.empty()) freq /= factors[i];
    if (spec.scaling == RopeScaling::kLinear) {
      freq /= spec.factor;
    } else if (spec.scaling == RopeScaling::kYarn) {
      // Fast pairs keep their frequency, slow ones are stretched, a ramp between.
      const double ramp = std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
      freq = freq * (1 - ramp) + freq / spec.factor * ramp;
    }
    result[i] = static_cast<float>(freq);
  }
  return result;
}

float RopeMagnitude(const RopeSpec& spec) {
  double magnitude = spec.attention_factor;
  if (spec.scaling == RopeScaling::kYarn) {
    magnitude *= YarnScale(spec.factor, 1.0);
    if (spec.log_multiplier != 0) magnitude /= YarnScale(spec.factor, spec.log_multiplier);
  }
  return static_cast<float>(magnitude);
}

Result<std::vector<float>> LoadRopeFactors(Ops& ops, WeightLoader& loader, const RopeSpec& spec,
                                           int context_length) {
  const int pairs = spec.dims / 2;
  Vector loaded = loader.LoadOptionalVector("rope_freqs.weight", pairs);
  if (spec.scaling == RopeScaling::kLongRope) {
    Vector longer = loader.LoadVector("rope_factors_long.weight", pairs);
    Vector shorter = loader.LoadVector("rope_factors_short.weight", pairs);
    if (loaded.empty()) {
      loaded = std::move(context_length > spec.original_context ? longer : shorter);
    }
  }
  std::vector<float> factors;
  if (loaded.empty()) return factors;
  factors.resize(pairs);
  ops.CopyToHost(TensorView(loaded.data.get(), DType::kF32, {pairs}), factors.data());
  for (int i = 0; i < pairs; ++i) {
    if (!(factors[i] > 0) || !std::isfinite(factors[i])) {
      return Fail(ErrorCode::kInvalidArgument, "rope factor {} of {} is {}; allowed: above 0", i,
                  pairs, factors[i]);
    }
  }
  return factors;
}

Result<Rope> Rope::Create(Ops& ops, const RopeSpec& spec, const std::vector<float>& factors) {
  const std::vector<float> frequencies = RopeFrequencies(spec, factors);
  const int64_t pairs = static_cast<int64_t>(frequencies.size());
  Rope rope;
  LB_ASSIGN_OR_RETURN(rope.memory_, ops.Allocate(pairs * sizeof(float)));
  ops.CopyFromHost(frequencies.data(), TensorView(rope.memory_.get(), DType::kF32, {pairs}));
  rope.table_.style = spec.style;
  rope.table_.dims = spec.dims;
  rope.table_.inv_freq = static_cast<const float*>(rope.memory_.get());
  rope.table_.magnitude = RopeMagnitude(spec);
  return rope;
}

}  // namespace lb

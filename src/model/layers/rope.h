// Rotary position embedding: which frequencies a model rotates its heads by.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "kernels/ops.h"
#include "model/config.h"
#include "model/weight_loader.h"

namespace lb {

enum class RopeScaling { kNone, kLinear, kYarn, kLongRope };

// As in the file's <arch>.rope.* keys.
struct RopeSpec {
  RopeStyle style = RopeStyle::kHalves;
  int dims = 0;  // leading values of a head that are rotated, even
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;            // how much longer than trained; divides the frequencies
  double original_context = 0;    // positions before the model was stretched (YaRN, LongRoPE)
  double attention_factor = 1.0;  // multiplies cos and sin
  double beta_fast = 32.0;        // YaRN: turns within original_context above which nothing changes
  double beta_slow = 1.0;         // ... and below which the full factor applies
  double log_multiplier = 0.0;    // YaRN: mscale_all_dim, 0: absent
};

// Reads rope.dimension_count, rope.freq_base and rope.scaling.*.
RopeSpec ReadRopeSpec(ConfigReader& keys, const ModelConfig& config, RopeStyle style);

// inv_freq [dims / 2] in radians per position, computed in double. `factors` divide them one by
// one: Llama 3's rope_freqs, LongRoPE's; empty for none.
std::vector<float> RopeFrequencies(const RopeSpec& spec, const std::vector<float>& factors);
// The factor on cos and sin (YaRN's temperature, LongRoPE's norm).
float RopeMagnitude(const RopeSpec& spec);

// Those factors from the file: rope_freqs.weight (Llama 3), or for LongRoPE
// rope_factors_long.weight when the model's context exceeds the original one, else
// rope_factors_short.weight. Empty where the model has none.
Result<std::vector<float>> LoadRopeFactors(Ops& ops, WeightLoader& loader, const RopeSpec& spec,
                                           int context_length);

// The table in the backend's memory; owns it. Immutable after Create.
class Rope {
 public:
  static Result<Rope> Create(Ops& ops, const RopeSpec& spec, const std::vector<float>& factors);
  const RopeTable& table() const { return table_; }

 private:
  DeviceMemory memory_{nullptr, nullptr};
  RopeTable table_;
};

}  // namespace lb

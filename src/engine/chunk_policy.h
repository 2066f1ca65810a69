// ChunkPolicy: how much of anybody's prompt one step may compute.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lb {

// A step with prefill in it may take `max_gap_ratio` times as long as one without, so that a
// running stream slows down but never stops; and at most about `max_step_ms`, since newcomers and
// cancellations wait for its end. Learns the costs from the steps that ran; changes when tokens
// come, never which. Engine thread only.
class ChunkPolicy {
 public:
  // Long chunks are whole multiples of it.
  static constexpr int kShape = 256;

  // `efficient`: below so many prompt tokens a step alone costs hardly less.
  ChunkPolicy(int max_tokens, double max_gap_ratio, int max_step_ms, int efficient = 64)
      : max_tokens_(max_tokens),
        efficient_(efficient),
        max_gap_ratio_(max_gap_ratio),
        max_step_us_(max_step_ms * 1000.0) {}

  // Prompt tokens for a step in which `decoding` others get one token each.
  int Limit(int decoding) const {
    if (prefill_token_us_ <= 0 || (decoding > 0 && decode_us_ <= 0)) return AtMost(efficient_);
    const double by_time = std::max<double>(max_step_us_ / prefill_token_us_, efficient_);
    if (decoding == 0) return AtMost(by_time);
    const double by_gap = (max_gap_ratio_ - 1) * decode_us_ / prefill_token_us_;
    return AtMost(std::max<double>(std::min(by_gap, by_time), kLeast));
  }

  // A step ran.
  void Observe(int decode_tokens, int prefill_tokens, int64_t us) {
    if (us <= 0) return;
    if (prefill_tokens == 0) {
      Learn(decode_us_, static_cast<double>(us));
    } else if (prefill_tokens >= (decode_tokens > 0 ? kLeast : std::max(kLeast, efficient_ / 4))) {
      const double rest = static_cast<double>(us) - (decode_tokens > 0 ? decode_us_ : 0);
      if (rest > 0) Learn(prefill_token_us_, rest / prefill_tokens);
    }
  }

 private:
  static constexpr int kLeast = 16;  // below one block of the cache a chunk is all overhead
  // So that steps of a shape come again: a GPU remembers how it runs them.
  int AtMost(double tokens) const {
    const int most = static_cast<int>(std::min<double>(tokens, max_tokens_));
    return most < 2 * kShape ? most : most / kShape * kShape;
  }
  static void Learn(double& mean, double x) { mean = mean <= 0 ? x : mean + (x - mean) / 8; }

  int max_tokens_;
  int efficient_;
  double max_gap_ratio_;
  double max_step_us_;
  double decode_us_ = 0;         // a step that only decodes
  double prefill_token_us_ = 0;  // what one more prompt token adds to a step
};

}  // namespace lb

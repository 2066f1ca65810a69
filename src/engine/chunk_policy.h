// ChunkPolicy: how much of somebody's prompt a step may compute beside running streams.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lb {

// A step with prefill in it may take `max_gap_ratio` times as long as one without, so that a running
// stream slows down but never stops. Learns both costs from the steps that ran; changes when tokens
// come, never which. Engine thread only.
class ChunkPolicy {
 public:
  ChunkPolicy(int max_tokens, double max_gap_ratio)
      : max_tokens_(max_tokens), max_gap_ratio_(max_gap_ratio) {}

  // Prompt tokens for a step in which others decode.
  int Limit() const {
    if (decode_us_ <= 0 || prefill_token_us_ <= 0) return std::min(kUnknown, max_tokens_);
    const double tokens = (max_gap_ratio_ - 1) * decode_us_ / prefill_token_us_;
    return static_cast<int>(std::clamp<double>(tokens, std::min(kLeast, max_tokens_), max_tokens_));
  }

  // A step ran.
  void Observe(int decode_tokens, int prefill_tokens, int64_t us) {
    if (us <= 0) return;
    if (prefill_tokens == 0) {
      Learn(decode_us_, static_cast<double>(us));
    } else if (prefill_tokens >= kLeast) {
      const double rest = static_cast<double>(us) - (decode_tokens > 0 ? decode_us_ : 0);
      if (rest > 0) Learn(prefill_token_us_, rest / prefill_tokens);
    }
  }

 private:
  static constexpr int kUnknown = 64;  // before anything was measured
  static constexpr int kLeast = 16;    // below one block of the cache a chunk is all overhead
  static void Learn(double& mean, double x) { mean = mean <= 0 ? x : mean + (x - mean) / 8; }

  int max_tokens_;
  double max_gap_ratio_;
  double decode_us_ = 0;         // a step that only decodes
  double prefill_token_us_ = 0;  // what one more prompt token adds to a step
};

}  // namespace lb

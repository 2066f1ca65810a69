// How to choose the next token. Names and defaults follow llama.cpp and llama-box.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/strong_id.h"

namespace lb {

enum class SamplerStage : uint8_t {
  kPenalties,
  kDry,
  kTopNSigma,
  kTopK,
  kTypical,
  kTopP,
  kMinP,
  kXtc,
  kTemperature,
};

struct SamplingParams {
  float temperature = 0.8f;     // 0: the most probable token
  float dynatemp_range = 0.0f;  // temperature +- range by entropy; 0: off
  float dynatemp_exponent = 1.0f;
  int top_k = 40;                // 0: off
  float top_p = 0.9f;            // 1: off
  float min_p = 0.1f;            // 0: off
  float typical_p = 1.0f;        // 1: off
  float top_n_sigma = -1.0f;     // < 0: off
  float xtc_probability = 0.0f;  // 0: off
  float xtc_threshold = 0.1f;
  int repeat_last_n = 64;       // tokens the penalties look back; 0: off, -1: all
  float repeat_penalty = 1.0f;  // 1: off
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  float dry_multiplier = 0.0f;  // 0: off
  float dry_base = 1.75f;
  int dry_allowed_length = 2;
  int dry_penalty_last_n = -1;
  std::vector<std::vector<TokenId>> dry_breakers;  // token sequences that end a repetition
  bool dry_breakers_given = false;  // somebody chose them, be it none; else the API has its own
  int mirostat = 0;                                // 1 or 2 replaces the stages below temperature
  float mirostat_tau = 5.0f;
  float mirostat_eta = 0.1f;
  std::vector<SamplerStage> stages = {
      SamplerStage::kPenalties, SamplerStage::kDry,     SamplerStage::kTopNSigma,
      SamplerStage::kTopK,      SamplerStage::kTypical, SamplerStage::kTopP,
      SamplerStage::kMinP,      SamplerStage::kXtc,     SamplerStage::kTemperature};
  std::vector<std::pair<TokenId, float>> logit_bias;  // added before everything; -inf bans
  uint64_t seed = 0;      // the api layer draws one when the client gives none
  int num_logprobs = -1;  // -1: none; 0: the chosen token's; n: and the n best (before bias,
                          // temperature and penalties: the model's own)
  bool logprobs_after_sampling = false;  // they are those of the draw instead: after all stages
};

// One token of a row of logits. token < 0: there is none.
struct TokenLogit {
  TokenId token = 0;
  float logit = 0;
};

struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0;
};

}  // namespace lb

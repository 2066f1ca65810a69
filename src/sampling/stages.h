// The stages of sampling, one function each. All of them leave at least one candidate when they
// found one. Parameters have passed Validate.
#pragma once

#include <cstdint>
#include <span>

#include "sampling/candidates.h"
#include "sampling/history.h"
#include "sampling/params.h"

namespace lb::sampling {

// Tokens whose bit is not set become -infinity.
void ApplyMask(std::span<const uint32_t> allowed, Candidates& candidates);
// Adds; a bias of -100 or less bans.
void ApplyBias(const SamplingParams& params, Candidates& candidates);

// repeat_penalty divides a positive logit and multiplies a negative one; frequency_penalty is
// subtracted for each occurrence in the window, presence_penalty once.
void ApplyPenalties(const SamplingParams& params, const History& history, Workspace& workspace,
                    Candidates& candidates);
// Don't Repeat Yourself: a token that would continue a repetition of n tokens, n at least
// dry_allowed_length, loses dry_multiplier * dry_base ^ (n - dry_allowed_length). Breakers end a
// repetition. Source: p-e-w, text-generation-webui pull request 5677.
void ApplyDry(const SamplingParams& params, const History& history, Workspace& workspace,
              Candidates& candidates);

// Keeps what lies within n standard deviations of the best logit.
void ApplyTopNSigma(float n, Candidates& candidates);
void ApplyTopK(int k, Candidates& candidates);
// Locally typical sampling (Meister et al. 2022): the most typical tokens until their mass exceeds
// p.
void ApplyTypical(float p, Candidates& candidates);
// The most probable tokens until their mass reaches p.
void ApplyTopP(float p, Candidates& candidates);
// What is at least p times as probable as the best.
void ApplyMinP(float p, Candidates& candidates);
// Exclude Top Choices: when `u` <= probability, drops all tokens of at least `threshold` but the
// least probable of them.
void ApplyXtc(float probability, float threshold, double u, Candidates& candidates);
// Divides by the temperature (> 0), or by one within temperature +- range that grows with the
// entropy of the candidates.
void ApplyTemperature(const SamplingParams& params, Candidates& candidates);

// Mirostat (Basu et al. 2021): cuts so that the surprise of what is drawn stays near tau bits; `mu`
// is its state. Draws with `u`.
TokenId DrawMirostat1(const SamplingParams& params, int vocab_size, double u, float* mu,
                      Candidates& candidates);
TokenId DrawMirostat2(const SamplingParams& params, double u, float* mu, Candidates& candidates);

}  // namespace lb::sampling

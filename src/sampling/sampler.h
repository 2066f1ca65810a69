// Sampler: the logits of one sequence's next position -> one token.
//
// The stages run in this order: allowed mask, logit bias, then `params.stages`, then the draw. What
// each value means, and which values switch a stage off, follows llama.cpp; three things are ours:
//  - temperature <= 0 is the most probable token that bias, mask, penalties and dry leave, the
//  lowest
//    id among equals; the stages that only cut the tail are skipped, and so is xtc;
//  - mirostat keeps penalties and dry in effect, and replaces all other stages but temperature;
//  - random numbers are a function of (seed, number of tokens before this one): batching, pausing
//  and
//    resuming never change a draw.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/strong_id.h"
#include "sampling/params.h"

namespace lb {

namespace sampling {
struct Workspace;
}  // namespace sampling

// Scratch memory, a few values per token of the vocabulary. One per engine thread, shared by all
// its samplers; holds nothing between two calls.
class SamplerWorkspace {
 public:
  SamplerWorkspace();
  ~SamplerWorkspace();
  SamplerWorkspace(SamplerWorkspace&&) noexcept;
  SamplerWorkspace& operator=(SamplerWorkspace&&) noexcept;
  sampling::Workspace& operator*() { return *impl_; }

 private:
  sampling::Workspace* impl_;
};

struct Sampled {
  TokenId token = 0;
  float logprob = 0;              // of `token`, when num_logprobs >= 0
  std::vector<TokenLogprob> top;  // num_logprobs entries, best first, lower id first among equals
};

// kInvalidArgument with field, value and range when a parameter has no meaning. `vocab_size` bounds
// the token ids in logit_bias and dry_breakers. `param` of the error is the field's name.
Result<void> Validate(const SamplingParams& params, int vocab_size);

// One per sequence: holds the parameters and mirostat's state. Engine thread only. A copy continues
// as the original would.
class Sampler {
 public:
  static Result<Sampler> Create(SamplingParams params, int vocab_size);

  // `logits` [vocab_size] are the model's own and are not changed. `prompt` and `generated` are all
  // tokens before the one to choose (penalties look back over both; ids outside the vocabulary are
  // ignored). `allowed`: bit t % 32 of word t / 32 is set when token t may be chosen; empty: all
  // may. Errors: kComputeFault when a logit is NaN or infinite; kInvalidArgument when mask and bias
  // leave no token at all. The sampler is unchanged after an error.
  Result<Sampled> Sample(std::span<const float> logits, std::span<const TokenId> prompt,
                         std::span<const TokenId> generated, SamplerWorkspace& workspace,
                         std::span<const uint32_t> allowed = {});

  // How many of the best logits decide as all of them would; 0: all are needed.
  int BestNeeded() const;
  // The same choice from the `best` logits, best first, at least BestNeeded() > 0 of them. A mask has been applied: they are the best of
  // the tokens that may be chosen (behind the last of those token is -1), with a NaN or infinity before all, wherever it was.
  Result<Sampled> SampleBest(std::span<const TokenLogit> best, std::span<const TokenId> prompt,
                             std::span<const TokenId> generated, SamplerWorkspace& workspace);

  const SamplingParams& params() const { return params_; }

 private:
  Sampler(SamplingParams params, int vocab_size);

  SamplingParams params_;
  int vocab_size_;
  float mirostat_mu_;  // the surprise, in bits, at which mirostat cuts
};

}  // namespace lb

// Guesses how answers go on by a second, smaller model of the same vocabulary (speculative
// decoding: Leviathan et al., arXiv:2211.17192; here the target draws every token itself, see
// docs/contracts/engine.md, so the guesses are the draft model's most probable tokens).
#pragma once

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "engine/batch_builder.h"
#include "engine/model_runner.h"
#include "engine/sequence.h"
#include "kv/kv_cache_manager.h"

namespace lb {

struct ModelDrafterConfig {
  std::vector<kv::KvGroupConfig> kv_groups;  // of the draft model
  int max_batch_tokens = 256;    // in one pass; a longer context is caught up with step by step
  float min_probability = 0.8f;  // a token that is less sure is not guessed, and ends the guess
};

// One running sequence and how many guesses it may get; 0: none in this step.
struct DraftTask {
  Sequence* sequence = nullptr;
  int most = 0;
};

// Engine thread only. Has a KV cache of its own, in which only tokens that the sequence really has
// are ever committed. What it cannot do (no room, a failed pass) is a missing guess, never an
// error.
class ModelDrafter {
 public:
  static Result<std::unique_ptr<ModelDrafter>> Create(ModelDrafterConfig config,
                                                      std::unique_ptr<ModelRunner> runner);
  // Fills `draft` of the sequences. `tasks` are all that run: what is held of others is given back.
  void Draft(std::span<const DraftTask> tasks);
  // The context of a sequence is no longer an extension of what it was.
  void Forget(uint64_t sequence_id) { states_.erase(sequence_id); }

  int vocab_size() const { return runner_->vocab_size(); }
  const kv::KvCacheManager& kv() const { return *kv_; }

 private:
  struct Guess {
    Sequence* sequence;
    kv::SequenceKv* kv;
    int most;
  };
  ModelDrafter(ModelDrafterConfig config, std::unique_ptr<ModelRunner> runner,
               std::unique_ptr<kv::KvCacheManager> kv);
  kv::SequenceKv* StateOf(const Sequence& sequence);
  // Computes what is missing of the contexts; those that have caught up get their first guess.
  std::vector<Guess> CatchUp(std::span<const DraftTask> tasks);
  // One more token for each; those that are not sure enough, or have all they may, are left out.
  void GoOn(std::vector<Guess>* open);
  // Appends the most probable token, if it is sure enough.
  bool TakeBest(std::span<const float> logits, Sequence* sequence) const;

  const ModelDrafterConfig config_;
  std::unique_ptr<ModelRunner> runner_;
  std::unique_ptr<kv::KvCacheManager> kv_;
  std::unordered_map<uint64_t, std::unique_ptr<kv::SequenceKv>> states_;  // by sequence id
  BatchBuilder batch_builder_;
};

}  // namespace lb

// Scheduler: which sequences run in the next step, and with how many tokens.
//
// There is no prefill and no decode phase: a sequence has tokens, of which some are computed, and
// the step's token budget lets it catch up. Contract and bounds on waiting:
// docs/contracts/engine.md.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/chunk_policy.h"
#include "engine/sequence.h"
#include "engine/waiting_queue.h"
#include "kv/kv_cache_manager.h"

namespace lb {

struct SchedulerConfig {
  int max_sequences = 1;
  int max_batch_tokens = 1;
  int max_step_drafts = 0;  // guessed tokens in a step
  bool whole = false;       // all tokens of a sequence are computed in one step
};

// What to run now; pure data. Room for all of it is reserved.
struct ScheduledBatch {
  struct Item {
    Sequence* sequence = nullptr;  // null: gone since its step was started ahead
    int num_tokens = 0;   // the next ones after num_computed()
    int num_drafted = 0;  // guesses after them, when they are all that is missing
  };
  std::vector<Item> items;
  std::vector<Sequence*> admitted;  // for the first time, in this step
  int num_decode_tokens = 0;        // of sequences that had one token to compute
  int num_prefill_tokens = 0;       // of the others
  int num_drafted_tokens = 0;
};

// Engine thread only. Sequences belong to the engine, which tells the scheduler before one goes.
class Scheduler {
 public:
  // A later request is admitted before a waiting one at most this often; then nobody passes it.
  static constexpr int kMaxBypass = 8;
  // How far into the queue a step looks for one that can start, beyond those there are places for.
  static constexpr size_t kLookAhead = 16;

  Scheduler(SchedulerConfig config, kv::KvCacheManager* kv) : config_(config), kv_(kv) {}

  void Add(Sequence* sequence) { waiting_.Push(sequence); }
  // Takes a sequence out, wherever it stands, and returns its blocks.
  void Remove(Sequence* sequence);
  // A running sequence's context was cut and nothing of it is held: it goes on as one whose tokens
  // are still to compute, in its place.
  void Restart(Sequence* sequence);
  // An answer of this many tokens ended by itself: what to expect of others.
  void ObserveAnswer(int num_tokens);

  // When all that is to be done after `batch` is to compute one token more of each of its sequences: reserves room for those, though the
  // pass of `batch` is not over. False: somebody waits, has come to the end of its answer or its stream, or there is no room.
  bool ReserveNext(const ScheduledBatch& batch);
  // `now_us` is the time of an admission; `policy` bounds the prompt tokens of the step.
  ScheduledBatch Schedule(const ChunkPolicy& policy, int64_t now_us);

  const std::vector<Sequence*>& running() const { return running_; }
  const std::vector<Sequence*>& paused() const { return paused_; }
  const WaitingQueue& waiting() const { return waiting_; }
  int64_t num_pauses() const { return num_pauses_; }

 private:
  enum class Start { kStarted, kNoRoom, kPending };
  struct Budget {
    int tokens = 0;   // of the step
    int prefill = 0;  // of them, for prompts
  };

  void ScheduleRunning(Budget& budget, const ChunkPolicy& policy, ScheduledBatch& batch);
  void ResumePaused(Budget& budget, ScheduledBatch& batch);
  void AdmitWaiting(Budget& budget, int64_t now_us, ScheduledBatch& batch);
  // Gives what is left of the prompt budget to the prompts in the batch, oldest first.
  void TopUp(Budget& budget, ScheduledBatch& batch);
  // Guesses of decoding sequences, as far as budget and free blocks go; nobody is paused for one.
  void AddDrafts(Budget& budget, ScheduledBatch& batch);
  // Reserves blocks for up to `wanted` more tokens; pauses others for it, or `sequence` itself (0).
  int MakeRoom(Sequence* sequence, int wanted, ScheduledBatch& batch);
  Sequence* PickVictim(const Sequence* needy) const;
  void Pause(Sequence* sequence, ScheduledBatch& batch);
  void PauseStalled(ScheduledBatch& batch);
  Start TryStart(Sequence* sequence, Budget& budget, ScheduledBatch& batch);
  // Tokens that `sequence` is likely to have at its end.
  int64_t ExpectedTokens(const Sequence& sequence) const;
  bool Full() const { return static_cast<int>(running_.size()) >= config_.max_sequences; }
  // Takes the blocks, which must be there, and logs what went for them.
  void Reserve(Sequence& sequence, int64_t num_tokens);
  // What an event was about: of a pause and a finish what was given back, of an eviction how many
  // blocks of others went, else what the sequence holds.
  struct Held {
    int64_t blocks = 0;  // of the main group
    int64_t computed = 0;
  };
  Held HeldBy(const Sequence& sequence) const;
  void LogPool(const char* event, const Sequence& sequence, Held held) const;

  SchedulerConfig config_;
  kv::KvCacheManager* kv_;
  WaitingQueue waiting_;
  std::vector<Sequence*> running_;  // by seniority, oldest first
  std::vector<Sequence*> paused_;   // by seniority, oldest first
  uint64_t next_seniority_ = 1;
  double expected_answer_ = 64;  // tokens; a moving mean
  int64_t num_pauses_ = 0;
};

}  // namespace lb

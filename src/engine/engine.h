// Engine: scheduler, cache, runner and samplers put together. Submit and Stats from any thread; all
// else is one thread's, and needs neither sockets, threads nor a real clock.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/clock.h"
#include "engine/adapter_namespaces.h"
#include "engine/batch_builder.h"
#include "engine/chunk_policy.h"
#include "engine/engine_client.h"
#include "engine/engine_config.h"
#include "engine/inbox.h"
#include "engine/logit_rows.h"
#include "engine/model_drafter.h"
#include "engine/model_runner.h"
#include "engine/scheduler.h"

namespace lb {

class Engine final : public EngineClient {
 public:
  // kInvalidArgument, with the arithmetic, for a configuration that cannot work. The clock outlives
  // the engine.
  static Result<std::unique_ptr<Engine>> Create(EngineConfig config,
                                                std::unique_ptr<ModelRunner> runner,
                                                const Clock* clock);
  // Before the first step. Its model has the vocabulary of the engine's.
  void UseDrafter(std::unique_ptr<ModelDrafter> drafter) { drafter_ = std::move(drafter); }
  // Ends what is still open with kUnavailable. Streams may outlive the engine.
  ~Engine() override;

  // Before the first step: runs a step of every size that long prompts are cut into, on made-up tokens. Worth its second on a device
  // that chooses its kernels by the shape. Leaves nothing in the cache. kComputeFault.
  Result<void> WarmUp();

  // ---- any thread
  // --------------------------------------------------------------------------------
  Result<std::unique_ptr<TokenStream>> Submit(Request request) override;
  EngineStats Stats() const override;
  const EngineLimits& limits() const override { return limits_; }
  void InspectKv(std::function<void(EngineSnapshot)> done) override;
  // Before the first request: what an engine of this model has counted before this one counts on here.
  void CountOn(const EngineStats& earlier);
  // From now on Submit answers kUnavailable. What was accepted runs on.
  void StopAccepting();

  // ---- the engine thread
  // ------------------------------------------------------------------------- Take what came in,
  // schedule, run, sample, publish. False when there was nothing to do: only the inbox can change
  // that.
  bool Step();
  // No request is open or coming in.
  bool idle() const { return sequences_.empty() && !inbox_->has_submissions(); }
  // Ends every open request with `error`, those in the inbox too.
  void FailAll(const Error& error);
  // --prompt-cache-file (engine/prompt_cache_file.h): Load before the first step, Save after the
  // last.
  Result<int64_t> LoadPromptCache(const std::string& path, const std::string& key);
  Result<int64_t> SavePromptCache(const std::string& path, const std::string& key);
  Inbox& inbox() { return *inbox_; }
  const kv::KvCacheManager& kv() const { return *kv_; }
  const Scheduler& scheduler() const { return scheduler_; }

 private:
  Engine(EngineConfig config, std::unique_ptr<ModelRunner> runner,
         std::unique_ptr<kv::KvCacheManager> kv, const Clock* clock);

  bool DrainInbox();
  void Accept(std::unique_ptr<Sequence> sequence);
  void Announce(const ScheduledBatch& batch);
  // What the cache wants copied before this step. Sequences that lose something by a fault are gone then.
  void MoveBlocks(ScheduledBatch& batch);
  // The moves of this step came to nothing.
  void LoseMoves(const Error& error, ScheduledBatch& batch);
  // What was queued ahead; empty: nothing was.
  ScheduledBatch AheadBatch() const;
  void RunBatch(ScheduledBatch& batch);
  void TakeResults(const ScheduledBatch& batch, const LogitRows& results);
  // While `batch` runs: queues the step after it, if that can be known (engine_ahead.cc).
  void RunAhead(const ScheduledBatch& batch, const ForwardBatch& built);
  // Tells the device which tokens that step computes.
  void ReleaseAhead();
  Result<void> CheckKind(const Request& request) const;
  Result<void> CheckAdapters(const Request& request) const;
  size_t TakeStates(Sequence& sequence, int64_t first, int num_tokens,
                    std::span<const float> states);
  void FinishVectors(std::span<Sequence* const> done);
  void CountComputed(Sequence& sequence, int num_tokens);
  void ShiftContext(Sequence& sequence);
  void ReportProgress(Sequence& s);
  // Guesses for the sequences that decode.
  void DraftNext();
  // Draws the next token, and one more behind each guess that it proves right; 1 + num_drafted rows.
  void Answer(Sequence& sequence, int num_drafted, const LogitRows& logits);
  // False when the sequence is gone, or goes on with a shifted context.
  bool SampleNext(Sequence& sequence, const LogitRows& logits);
  void Finish(Sequence& sequence, FinishReason reason, TokenId stop_token);
  void Fail(Sequence& sequence, Error error);
  // Goes out with the step's numbers (Publish): at once, or while a device computes the next step.
  void Send(Sequence& sequence, TokenEvent event);
  // The sequence's last event.
  void End(Sequence& sequence, TokenEvent event);
  // Takes the sequence out of everything; it is destroyed.
  void Forget(Sequence& sequence);
  void CompleteUsage(Sequence& sequence);
  void ObserveEnd(const Sequence& sequence);
  void LogEnd(const Sequence& sequence, std::string_view reason) const;
  void PublishStats();
  // Lets readers have what has happened since the last time. False: nothing has.
  bool Publish();
  EngineSnapshot Snapshot() const;

  const EngineConfig config_;
  EngineLimits limits_;
  std::unique_ptr<ModelRunner> runner_;
  std::unique_ptr<ModelDrafter> drafter_;  // null: guesses come from the text, if at all
  std::unique_ptr<kv::KvCacheManager> kv_;
  const Clock* clock_;
  const std::shared_ptr<Inbox> inbox_;
  AdapterNamespaces namespaces_;
  Scheduler scheduler_;
  ChunkPolicy chunk_policy_;
  BatchBuilder batch_builder_;
  SamplerWorkspace sampler_workspace_;
  std::unordered_map<uint64_t, std::unique_ptr<Sequence>> sequences_;  // all that are open
  EngineStats stats_;
  EngineStats earlier_;  // what was counted before this engine
  std::vector<std::pair<std::shared_ptr<StreamState>, TokenEvent>> events_;  // that have not gone out
  bool urgent_ = false;       // somebody waits for one of them: a first token, an end
  bool unpublished_ = false;  // stats_ has changed
  std::vector<kv::Transfer> moves_;  // of this step
  int64_t last_step_us_ = 0;
  std::vector<Sequence*> ahead_;     // of the step that was queued ahead, by row; null: gone meanwhile, nobody wants what is computed

  std::atomic<uint64_t> next_id_{1};
  std::atomic<int> num_queued_{0};  // submitted and not admitted yet
  std::atomic<int64_t> num_rejected_{0};
  mutable std::mutex published_mutex_;
  EngineStats published_;
};

}  // namespace lb

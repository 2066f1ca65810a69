// The engine's only public face. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/block_map.h"
#include "engine/histogram.h"
#include "engine/request.h"
#include "kv/kv_stats.h"
#include "kv/types.h"
#include "model/pooling.h"

namespace lb {

// The reader's end of one answer. Destroying it before the last event cancels the request; its
// blocks are free within one step. One reader at a time; any thread.
class TokenStream {
 public:
  virtual ~TokenStream() = default;
  // Everything that has happened since the last call, possibly nothing. Never blocks.
  virtual std::vector<TokenEvent> Take() = 0;
  // Blocks until there is something to take (tests, command line).
  virtual std::vector<TokenEvent> Wait() = 0;
  // `wake` is called from the engine thread whenever events arrive after a Take that left the
  // stream empty, and at once if there are some now. It must not block or call the stream: a server
  // posts to its executor.
  virtual void OnReady(std::function<void()> wake) = 0;
  // The reader has all it wants, as after a stop string: the request counts as finished, and is not
  // cancelled, when the stream is destroyed, which must follow.
  virtual void Finish() {}
};

// A point-in-time copy of the engine's numbers, published once per step. Counters only grow.
struct EngineStats {
  int64_t pool_blocks = 0, free_blocks = 0, cached_blocks = 0, used_blocks = 0;
  kv::HostStats host;  // of the cache's tier on the host
  int running = 0, waiting = 0, paused = 0;
  // Prompt tokens of admitted requests: all, those found in the cache, those computed so far (each
  // once). Without pauses, faults and cancellations the first is the sum of the others in the end.
  int64_t prompt_tokens = 0, cached_prompt_tokens = 0, computed_prompt_tokens = 0;
  int64_t recomputed_tokens = 0;  // computed once more, after a pause or a context shift
  int64_t drafts = 0, drafted_tokens = 0, accepted_tokens = 0;  // guesses that were tried, and right
  int64_t generated_tokens = 0, steps = 0, pauses = 0, evictions = 0;
  int64_t step_sequences = 0;  // those that each step computed for, added up
  int64_t steps_ahead = 0;     // that were queued behind the one before
  int64_t longest = 0;         // tokens of the longest context so far
  int64_t context_shifts = 0, dropped_tokens = 0;
  int64_t finished_stop = 0, finished_length = 0, cancelled = 0, failed = 0, rejected = 0;
  Histogram queue;        // submission to admission; of every admitted request
  Histogram first_token;  // submission to first sampled token
  Histogram token_gap;    // from each token of an answer to the next
  // Of every request that finished by stop or length after its admission: submission to end,
  // admission to first token, first token to last, and (two tokens at least) the mean gap.
  Histogram total, prefill, decode, per_token;
};

// One sequence in GET /kv.
struct SequenceInfo {
  std::string id;  // the request's
  SequenceStatus status = SequenceStatus::kWaiting;
  int prompt_tokens = 0, cached_tokens = 0, answer_tokens = 0;
  int64_t max_answer_tokens = 0;  // at which it ends at the latest; 0: no answer is generated
  int64_t tokens = 0;       // of the context now
  int64_t computed = 0;     // of them, in blocks
  std::vector<int> blocks;  // held in each group
  int pauses = 0;
  int64_t age_ms = 0;  // since submission
};

// GET /kv and /kv/events: counts and ids, no text and no token ids.
struct EngineSnapshot {
  kv::KvSnapshot kv;  // no groups: there is no engine
  int block_tokens = kv::kBlockTokens;
  std::vector<int64_t> block_bytes;     // of each group
  std::vector<BlockMap> maps;           // of each group; its i-th owner is sequences[i]
  std::vector<SequenceInfo> sequences;  // running and paused by seniority, waiting by turn
  int64_t sequences_left_out = 0;       // of those that wait
  int64_t cost_us = 0;                  // the time that the engine took to make this
};

// What the engine can hold; fixed at start, told to clients.
struct EngineLimits {
  int64_t pool_tokens = 0;         // tokens of KV in the pool
  int64_t max_request_tokens = 0;  // longest prompt plus answer
  int max_sequences = 0;           // that run together
  int max_batch_tokens = 0;        // in one step
  int max_queue = 0;               // waiting requests before kOverloaded
  bool generates = true;           // false: the model makes vectors only
  std::optional<Pooling> pooling;  // how vectors are made; none: they are not
  int vector_width = 0;            // values of one
};

class EngineClient {
 public:
  virtual ~EngineClient() = default;
  // kTooLong (with prompt tokens, limit and the flag that sets it) when the prompt leaves no room
  // for one token (a text of which a vector is wanted needs none), kUnsupported for what the model
  // cannot do, kInvalidArgument for token ids outside the vocabulary, kOverloaded when the
  // queue is full, kUnavailable while stopping. No side effect on failure.
  virtual Result<std::unique_ptr<TokenStream>> Submit(Request request) = 0;
  virtual EngineStats Stats() const = 0;
  virtual const EngineLimits& limits() const = 0;
  // GET /kv: `done` gets a picture of the cache, on the engine thread between two steps; it must
  // not block. At once and empty when there is no engine to ask (any more).
  virtual void InspectKv(std::function<void(EngineSnapshot)> done) { done({}); }
};

}  // namespace lb

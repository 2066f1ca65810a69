// What a client asks of the engine and what comes back: token ids only, no text, no JSON.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"
#include "model/adapter_use.h"
#include "sampling/params.h"

namespace lb {

// Follows one answer and says which tokens may be next. One per request; used by one thread at a time.
class TokenGuide {
 public:
  virtual ~TokenGuide() = default;
  // Bit t % 32 of word t / 32 is set when token t may be next; empty: every token may. Valid until
  // the next call. Asked once for each token, before the pass that it is chosen from or after it; the pass may fail, so asking
  // takes nothing. The guides of other answers may be asked meanwhile, by other threads.
  virtual std::span<const uint32_t> Allowed() = 0;
  // The answer's next token.
  virtual void Take(TokenId token) = 0;
};

// One answer to one prompt. `n` answers are n requests: the scheduler computes their shared prompt
// once. Immutable after Submit.
struct Request {
  std::string id;               // for logs; "chatcmpl-..." or the client's X-Request-ID
  std::vector<TokenId> prompt;  // at least one token
  SamplingParams sampling;
  int64_t max_tokens = -1;        // -1: until the context is full
  std::vector<TokenId> stop_ids;  // end-of-generation tokens; ends the answer, is not part of it
  bool ignore_eos = false;        // bans stop_ids instead
  bool cache_prompt = true;       // false: neither reads nor feeds the prefix cache
  std::vector<AdapterUse> adapters;  // as adapter_use.h says
  uint64_t cache_namespace = 0;  // requests share a prefix only within one (image, tenant), and with
                                 // the same adapters; below AdapterNamespaces::kStart
  std::string client;            // fairness is between clients; "" is one client
  bool context_shift = false;    // a full context is shifted (engine/context_shift.h) instead of
                                 // ending the answer
  int64_t keep = 0;              // tokens at the front that a shift keeps; -1: the whole prompt
  bool report_progress = false;       // kProgress events
  std::shared_ptr<TokenGuide> guide;  // null: every token may follow
  bool embed = false;                 // wanted is the prompt's vector, and no answer
};

// Waiting -> Running <-> Paused, and from each of them -> Finished.
enum class SequenceStatus : uint8_t { kWaiting, kRunning, kPaused, kFinished };

enum class FinishReason { kStop, kLength, kCancelled, kError };

// Fixed at admission (prompt and cached tokens) or at the end (the rest).
struct Usage {
  int prompt_tokens = 0;
  int cached_tokens = 0;  // 0 <= cached_tokens < prompt_tokens
  int completion_tokens = 0;
  int num_pauses = 0;
  int drafted_tokens = 0, accepted_tokens = 0;  // guessed, and of them right: they are counted above
  int context_shifts = 0;
  int64_t dropped_tokens = 0;  // from the context, by those shifts
  double queue_ms = 0;         // submit to admission
  double prefill_ms = 0;       // admission to first token
  double decode_ms = 0;        // first token to last
};

// One thing that happened to a request, in order. Exactly one event is the last one.
struct TokenEvent {
  enum class Kind { kAdmitted, kProgress, kToken, kShifted, kFinished, kFailed };
  Kind kind = Kind::kToken;
  TokenId token = 0;                          // kToken
  float logprob = 0;                          // kToken, when sampling.num_logprobs >= 0
  std::vector<TokenLogprob> top;              // kToken, when sampling.num_logprobs > 0; best first
  FinishReason reason = FinishReason::kStop;  // kFinished
  TokenId stop_token = -1;                    // kFinished by a stop id: which
  Usage usage;  // kAdmitted (prompt, cached), kShifted (shifts), kFinished, kFailed
  int64_t computed = 0;  // kProgress: of the prompt, what was cached included
  std::vector<float> vector;  // kFinished with Request::embed: the values, or scores; with
                              // Pooling::kNone those of all tokens, one after the other
  Error error;                // kFailed
  bool last() const { return kind == Kind::kFinished || kind == Kind::kFailed; }
};

}  // namespace lb

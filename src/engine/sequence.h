// Sequence: the life of one request inside the engine.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/pooler.h"
#include "engine/request.h"
#include "engine/stream.h"
#include "kv/sequence_kv.h"
#include "sampling/sampler.h"

namespace lb {

// Made by Submit on any thread, then the engine thread's alone.
struct Sequence {
  Sequence(Request r, Sampler s) : request(std::move(r)), sampler(std::move(s)) {}

  uint64_t id = 0;
  Request request;  // its prompt has moved to `tokens`
  Sampler sampler;
  std::shared_ptr<StreamState> stream;
  std::unique_ptr<kv::SequenceKv> kv;  // null until the engine thread has seen the sequence

  std::vector<TokenId> tokens;   // the context: prompt, then answer
  int num_prompt = 0;            // after a context shift: all that was kept
  int num_answered = 0;          // tokens of the answer, those that a shift dropped too
  int64_t max_answer = 0;        // tokens of the whole answer
  int64_t max_tokens_total = 0;  // when tokens reaches this, the answer ends or the context shifts
  int64_t num_seen = 0;          // tokens of the context that were computed once, if not now

  std::vector<TokenId> draft;  // guesses of what follows `tokens`, made for the next step
  int max_draft = 0;           // how many are worth it now
  Pooler pooler;              // of a request for a vector
  std::vector<float> vector;  // ... at its end

  SequenceStatus status = SequenceStatus::kWaiting;
  uint64_t seniority = 0;      // order of first admission; 0: not admitted yet
  int bypassed = 0;            // times that a later one was admitted before it
  uint64_t refused_epoch = 0;  // of the cache, when it last had no room for this one
  Usage usage;
  int64_t submitted_us = 0, admitted_us = 0, first_token_us = 0, last_token_us = 0;

  int64_t num_tokens() const { return static_cast<int64_t>(tokens.size()); }
  int num_generated() const { return static_cast<int>(tokens.size()) - num_prompt; }
  int64_t num_computed() const { return kv->num_computed(); }
  // Tokens to compute before the next one can be sampled.
  int64_t num_missing() const { return num_tokens() - num_computed(); }
  // The reader lags: no more tokens until it takes some.
  bool stalled() const { return stream->full(); }
  std::span<const TokenId> prompt() const {
    return std::span(tokens).first(static_cast<size_t>(num_prompt));
  }
  std::span<const TokenId> generated() const {
    return std::span(tokens).subspan(static_cast<size_t>(num_prompt));
  }
};

}  // namespace lb

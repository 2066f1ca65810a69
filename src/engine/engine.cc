#include "engine/engine.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/log.h"
#include "engine/lookup_draft.h"

namespace lb {
namespace {

// Neighbours of the same adapters are multiplied with them together.
void GroupByAdapters(ScheduledBatch* batch) {
  std::ranges::stable_sort(batch->items, {}, [](const ScheduledBatch::Item& item) {
    return item.sequence->request.cache_namespace;
  });
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Create(EngineConfig config,
                                               std::unique_ptr<ModelRunner> runner,
                                               const Clock* clock) {
  if (config.max_batch_tokens < 1 || config.max_sequences < 1 || config.max_queue < 1 ||
      config.stream_capacity < 1) {
    return lb::Fail(ErrorCode::kInvalidArgument,
                    "batch of {} tokens, {} sequences, queue of {}, streams of {}: each must be at "
                    "least 1",
                    config.max_batch_tokens, config.max_sequences, config.max_queue,
                    config.stream_capacity);
  }
  // Half of a step's tokens at least are left for prompts when all sequences decode.
  config.max_sequences = std::min(config.max_sequences, std::max(1, config.max_batch_tokens / 2));
  kv::KvCacheConfig cache;
  cache.groups = config.kv_groups;
  cache.max_chunk = config.max_batch_tokens;
  cache.prefix_cache = config.prefix_cache;
  cache.host_slots = config.host_slots;
  LB_ASSIGN_OR_RETURN(auto kv, kv::KvCacheManager::Create(std::move(cache)));
  for (const kv::KvGroupConfig& group : config.kv_groups) {
    const int64_t tokens = int64_t{group.num_blocks} * kv::kBlockTokens;
    if (group.window == 0 && config.max_request_tokens > tokens) {
      return lb::Fail(ErrorCode::kInvalidArgument,
                      "a request may have {} tokens and the KV pool holds {}: raise -c/--ctx-size "
                      "or --kv-memory",
                      config.max_request_tokens, tokens);
    }
  }
  if (!config.generates && config.max_request_tokens > config.max_batch_tokens) {
    return lb::Fail(ErrorCode::kInvalidArgument,
                    "a text may have {} tokens and a step {}: this model reads texts as a whole",
                    config.max_request_tokens, config.max_batch_tokens);
  }
  if (config.max_request_tokens < 2) {
    return lb::Fail(ErrorCode::kInvalidArgument,
                    "a context of {} tokens has no room for a prompt and an answer",
                    config.max_request_tokens);
  }
  return std::unique_ptr<Engine>(
      new Engine(std::move(config), std::move(runner), std::move(kv), clock));
}

Engine::Engine(EngineConfig config, std::unique_ptr<ModelRunner> runner,
               std::unique_ptr<kv::KvCacheManager> kv, const Clock* clock)
    : config_(std::move(config)),
      runner_(std::move(runner)),
      kv_(std::move(kv)),
      clock_(clock),
      inbox_(std::make_shared<Inbox>()),
      namespaces_(config_.start_adapters),
      scheduler_({config_.max_sequences, config_.max_batch_tokens, config_.max_step_drafts,
                  !config_.generates},
                 kv_.get()),
      chunk_policy_(config_.max_batch_tokens, config_.max_gap_ratio, config_.max_step_ms,
                    config_.efficient_tokens),
      batch_builder_(kv_->num_groups(), config_.pooling, config_.generates) {
  limits_.pool_tokens = int64_t{kv_->pool(kv_->main_group()).size()} * kv::kBlockTokens;
  limits_.max_request_tokens = config_.max_request_tokens;
  limits_.max_sequences = config_.max_sequences;
  limits_.max_batch_tokens = config_.max_batch_tokens;
  limits_.max_queue = config_.max_queue;
  limits_.generates = config_.generates;
  limits_.pooling = config_.pooling;
  limits_.vector_width = runner_->vector_width(config_.pooling);
  PublishStats();
}

Engine::~Engine() {
  StopAccepting();
  FailAll(Error{ErrorCode::kUnavailable, "the server is stopping", {}});
}

// ---- any thread ----

Result<std::unique_ptr<TokenStream>> Engine::Submit(Request request) {
  auto refuse = [this](Error error) {
    num_rejected_.fetch_add(1, std::memory_order_relaxed);
    return error;
  };
  const auto length = static_cast<int64_t>(request.prompt.size());
  if (length == 0) {
    return refuse(lb::Fail(ErrorCode::kInvalidArgument, "the prompt has no tokens"));
  }
  if (auto kind = CheckKind(request); !kind.has_value()) return refuse(kind.error());
  request.cache_namespace = namespaces_.Of(request.cache_namespace, request.adapters);
  if (request.embed ? length > limits_.max_request_tokens : length >= limits_.max_request_tokens) {
    // llama.cpp's phrase: clients look for it in order to send less.
    Error error =
        request.embed
            ? lb::Fail(ErrorCode::kTooLong,
                       "the text has {} tokens, which exceeds the available context size: it may "
                       "have at most {} (what the model was trained for, or -c/--ctx-size)",
                       length, limits_.max_request_tokens)
            : lb::Fail(ErrorCode::kTooLong,
                       "the prompt has {} tokens, which exceeds the available context size: "
                       "prompt and answer together may have {} (set by -c/--ctx-size), so a "
                       "prompt at most {}",
                       length, limits_.max_request_tokens, limits_.max_request_tokens - 1);
    error.prompt_tokens = length;
    error.context_tokens = limits_.max_request_tokens;
    return refuse(std::move(error));
  }
  const int vocab = runner_->vocab_size();
  for (TokenId t : request.prompt) {
    if (t < 0 || t >= vocab) {
      return refuse(lb::Fail(ErrorCode::kInvalidArgument,
                             "token id {} in the prompt: the vocabulary has 0 to {}", t,
                             vocab - 1));
    }
  }
  // Tokens out of the cache have no states.
  if (request.embed && Pooler::NeedsAll(*config_.pooling, config_.generates)) {
    request.cache_prompt = false;
  }
  if (request.ignore_eos) {
    for (TokenId t : request.stop_ids) {
      if (t < 0 || t >= vocab) continue;
      request.sampling.logit_bias.emplace_back(t, -std::numeric_limits<float>::infinity());
    }
    request.stop_ids.clear();
  }
  auto sampler = Sampler::Create(request.sampling, vocab);
  if (!sampler.has_value()) return refuse(sampler.error());

  auto sequence = std::make_unique<Sequence>(std::move(request), std::move(sampler).value());
  Sequence& s = *sequence;
  s.tokens = std::exchange(s.request.prompt, {});
  s.num_prompt = static_cast<int>(length);
  // With context shift an answer may be longer than the room; as long as the context when no length
  // is asked for, so that it ends.
  const int64_t longest = limits_.max_request_tokens;
  s.max_answer = s.request.max_tokens < 0 ? longest : s.request.max_tokens;
  if (!s.request.context_shift) s.max_answer = std::min(s.max_answer, longest - length);
  if (s.request.embed) s.max_answer = 0;
  s.max_tokens_total = std::min(longest, length + s.max_answer);
  s.usage.prompt_tokens = s.num_prompt;
  s.submitted_us = clock_->NowMicros();
  s.id = next_id_.fetch_add(1, std::memory_order_relaxed);
  s.stream = std::make_shared<StreamState>(s.id, config_.stream_capacity, inbox_);
  auto stream = s.stream;

  if (num_queued_.fetch_add(1) >= limits_.max_queue) {
    num_queued_.fetch_sub(1);
    return refuse(
        lb::Fail(ErrorCode::kOverloaded,
                 "{} requests are waiting, which is the most this server takes; try again "
                 "later",
                 limits_.max_queue));
  }
  if (!inbox_->Submit(sequence)) {
    num_queued_.fetch_sub(1);
    return refuse(lb::Fail(ErrorCode::kUnavailable, "the server is stopping"));
  }
  return std::unique_ptr<TokenStream>(std::make_unique<StreamReader>(std::move(stream)));
}

EngineStats Engine::Stats() const {
  std::lock_guard lock(published_mutex_);
  EngineStats stats = published_;
  stats.rejected = num_rejected_.load(std::memory_order_relaxed);
  return stats;
}

void Engine::StopAccepting() { inbox_->Close(); }

// ---- the step ----

bool Engine::Step() {
  const int64_t start_us = clock_->NowMicros();
  kv_->set_now_ms(start_us / 1000);
  const bool got_mail = DrainInbox();
  ScheduledBatch batch = AheadBatch();
  if (batch.items.empty()) {
    DraftNext();
    batch = scheduler_.Schedule(chunk_policy_, start_us);
    if (config_.num_adapters > 0) GroupByAdapters(&batch);
  }
  Announce(batch);
  const bool worked = got_mail || !batch.items.empty();
  MoveBlocks(batch);
  if (!batch.items.empty()) {
    RunBatch(batch);
    ++stats_.steps;
    stats_.step_sequences += std::ranges::count_if(batch.items, [](const auto& item) { return item.sequence != nullptr; });
    last_step_us_ = clock_->NowMicros() - start_us;
    // The time of a step that loads is the bus's.
    const bool loads = std::ranges::find(moves_, kv::Transfer::Kind::kLoad, &kv::Transfer::kind) != moves_.end();
    if (!loads) {
      chunk_policy_.Observe(batch.num_decode_tokens + batch.num_drafted_tokens,
                            batch.num_prefill_tokens, last_step_us_);
    }
  }
  unpublished_ |= worked;
  // While a device computes the next step there is time for this.
  const bool later = runner_->runs_apart() && !batch.items.empty() && !urgent_;
  return (!later && Publish()) || worked;
}

bool Engine::DrainInbox() {
  Inbox::Contents contents = inbox_->Take();
  for (auto& sequence : contents.submitted) Accept(std::move(sequence));
  for (uint64_t id : contents.cancelled) {
    auto it = sequences_.find(id);
    if (it == sequences_.end()) continue;
    const bool done = it->second->stream->satisfied();
    Finish(*it->second, done ? FinishReason::kStop : FinishReason::kCancelled, -1);
  }
  for (auto& call : contents.calls) call();
  return !contents.empty();
}

void Engine::Accept(std::unique_ptr<Sequence> sequence) {
  Sequence& s = *sequence;
  s.kv = kv_->NewSequence(s.request.cache_namespace, s.request.cache_prompt);
  s.max_draft = config_.max_draft;
  sequences_.emplace(s.id, std::move(sequence));
  scheduler_.Add(&s);
  // Nothing is wanted: nothing is computed.
  if (s.num_tokens() == s.max_tokens_total && !s.request.embed)
    Finish(s, FinishReason::kLength, -1);
}

void Engine::Announce(const ScheduledBatch& batch) {
  for (Sequence* s : batch.admitted) {
    num_queued_.fetch_sub(1);
    const int64_t queue_us = std::max<int64_t>(0, s->admitted_us - s->submitted_us);
    s->usage.queue_ms = static_cast<double>(queue_us) / 1000;
    stats_.prompt_tokens += s->num_prompt;
    stats_.cached_prompt_tokens += s->usage.cached_tokens;
    stats_.queue.Observe(s->usage.queue_ms / 1000);
    TokenEvent event;
    event.kind = TokenEvent::Kind::kAdmitted;
    event.usage = s->usage;
    Send(*s, std::move(event));
  }
}

void Engine::RunBatch(ScheduledBatch& batch) {
  const bool started = !ahead_.empty();
  ahead_.clear();
  const ForwardBatch& built = started ? batch_builder_.built() : batch_builder_.Build(batch, *runner_);
  if (runner_->runs_apart()) {
    if (!started) runner_->Start(built);
    Publish();  // of the step before
    RunAhead(batch, built);
  }
  batch_builder_.AddMasks(batch, runner_->vocab_size());
  const Result<std::span<const float>> logits = runner_->Run(built);
  if (logits.has_value()) {
    TakeResults(batch, {*logits, runner_->best(), built.logit_rows.size()});
  } else {
    // Nothing was committed, so nothing of this step can be reused. Others never notice.
    LoseMoves(logits.error(), batch);
    for (const ScheduledBatch::Item& item : batch.items) {
      if (item.sequence != nullptr) Fail(*item.sequence, Error{ErrorCode::kComputeFault, logits.error().message, {}});
    }
  }
  ReleaseAhead();
}

void Engine::DraftNext() {
  if (config_.max_step_drafts <= 0) return;
  std::vector<DraftTask> tasks;
  for (Sequence* s : scheduler_.running()) {
    s->draft.clear();
    // The token after the last guess must still fit.
    const int64_t room = s->max_tokens_total - s->num_tokens() - 1;
    const bool decodes = s->num_missing() == 1 && !s->stalled();
    int most = decodes ? static_cast<int>(std::clamp<int64_t>(room, 0, s->max_draft)) : 0;
    if (config_.lookup_min_match > 0 && most > 0) {
      DraftByLookup(s->tokens, config_.lookup_min_match, most, &s->draft);
      if (!s->draft.empty()) most = 0;
    }
    tasks.push_back({s, most});
  }
  if (drafter_ != nullptr) drafter_->Draft(tasks);
}

// ---- endings ----

void Engine::Finish(Sequence& s, FinishReason reason, TokenId stop_token) {
  CompleteUsage(s);
  if (reason != FinishReason::kCancelled) ObserveEnd(s);
  TokenEvent event;
  event.kind = TokenEvent::Kind::kFinished;
  event.reason = reason;
  event.stop_token = stop_token;
  event.usage = s.usage;
  event.vector = std::move(s.vector);
  switch (reason) {
    case FinishReason::kStop:
      ++stats_.finished_stop;
      if (!s.request.embed) scheduler_.ObserveAnswer(s.num_answered);
      LogEnd(s, "stop");
      break;
    case FinishReason::kLength:
      ++stats_.finished_length;
      if (s.seniority > 0) scheduler_.ObserveAnswer(s.num_answered);
      LogEnd(s, "length");
      break;
    default:
      ++stats_.cancelled;
      LogEnd(s, "cancelled");
  }
  End(s, std::move(event));
}

void Engine::Fail(Sequence& s, Error error) {
  CompleteUsage(s);
  ++stats_.failed;
  LogEnd(s, "error");
  LogWarning("id={} failed: {}", s.request.id, error.message);
  TokenEvent event;
  event.kind = TokenEvent::Kind::kFailed;
  event.usage = s.usage;
  event.error = std::move(error);
  End(s, std::move(event));
}

void Engine::End(Sequence& s, TokenEvent event) {
  Send(s, std::move(event));
  Forget(s);
}

void Engine::Forget(Sequence& s) {
  if (s.seniority == 0) num_queued_.fetch_sub(1);
  std::ranges::replace(ahead_, &s, nullptr);
  scheduler_.Remove(&s);
  sequences_.erase(s.id);
}

void Engine::FailAll(const Error& error) {
  DrainInbox();
  while (!sequences_.empty()) Fail(*sequences_.begin()->second, error);
  unpublished_ = true;
  Publish();
}

}  // namespace lb

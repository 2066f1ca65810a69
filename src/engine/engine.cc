#include "engine/engine.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/log.h"
#include "engine/prompt_cache_file.h"

namespace lb {
namespace {

double Milliseconds(int64_t from_us, int64_t to_us) {
  return static_cast<double>(std::max<int64_t>(0, to_us - from_us)) / 1000.0;
}

double PerSecond(double count, double ms) { return ms > 0 ? count * 1000.0 / ms : 0; }

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
      scheduler_({config_.max_sequences, config_.max_batch_tokens}, kv_.get()),
      chunk_policy_(config_.max_batch_tokens, config_.max_gap_ratio, config_.max_step_ms),
      batch_builder_(kv_->num_groups()) {
  limits_.pool_tokens = int64_t{kv_->pool(kv_->main_group()).size()} * kv::kBlockTokens;
  limits_.max_request_tokens = config_.max_request_tokens;
  limits_.max_sequences = config_.max_sequences;
  limits_.max_batch_tokens = config_.max_batch_tokens;
  limits_.max_queue = config_.max_queue;
  PublishStats();
}

Engine::~Engine() {
  StopAccepting();
  FailAll(Error{ErrorCode::kUnavailable, "the server is stopping", {}});
}

// ---- any thread
// --------------------------------------------------------------------------------------

Result<std::unique_ptr<TokenStream>> Engine::Submit(Request request) {
  auto refuse = [this](Error error) {
    num_rejected_.fetch_add(1, std::memory_order_relaxed);
    return error;
  };
  const auto length = static_cast<int64_t>(request.prompt.size());
  if (length == 0) {
    return refuse(lb::Fail(ErrorCode::kInvalidArgument, "the prompt has no tokens"));
  }
  if (length >= limits_.max_request_tokens) {
    return refuse(lb::Fail(ErrorCode::kTooLong,
                           "the prompt has {} tokens; prompt and answer together may have {} "
                           "(set by -c/--ctx-size), so a prompt at most {}",
                           length, limits_.max_request_tokens, limits_.max_request_tokens - 1));
  }
  const int vocab = runner_->vocab_size();
  for (TokenId t : request.prompt) {
    if (t < 0 || t >= vocab) {
      return refuse(lb::Fail(ErrorCode::kInvalidArgument,
                             "token id {} in the prompt: the vocabulary has 0 to {}", t,
                             vocab - 1));
    }
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
  const int64_t room = limits_.max_request_tokens - length;
  s.max_tokens_total =
      length + (s.request.max_tokens < 0 ? room : std::min(room, s.request.max_tokens));
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

void Engine::InspectKv(std::function<void(kv::KvSnapshot)> done) {
  auto call = [this, done] { done(kv_->Snapshot()); };
  if (!inbox_->Call(std::move(call))) done({});
}

void Engine::StopAccepting() { inbox_->Close(); }

// ---- the step
// ----------------------------------------------------------------------------------------

bool Engine::Step() {
  const int64_t start_us = clock_->NowMicros();
  kv_->set_now_ms(start_us / 1000);
  const bool got_mail = DrainInbox();
  const ScheduledBatch batch = scheduler_.Schedule(chunk_policy_, start_us);
  Announce(batch);
  if (!batch.items.empty()) {
    RunBatch(batch);
    ++stats_.steps;
    chunk_policy_.Observe(batch.num_decode_tokens, batch.num_prefill_tokens,
                          clock_->NowMicros() - start_us);
  }
  const bool worked = got_mail || !batch.items.empty();
  if (worked) PublishStats();
  return worked;
}

bool Engine::DrainInbox() {
  Inbox::Contents contents = inbox_->Take();
  for (auto& sequence : contents.submitted) Accept(std::move(sequence));
  for (uint64_t id : contents.cancelled) {
    auto it = sequences_.find(id);
    if (it == sequences_.end()) continue;
    Finish(*it->second, FinishReason::kCancelled, -1);
  }
  for (auto& call : contents.calls) call();
  return !contents.empty();
}

void Engine::Accept(std::unique_ptr<Sequence> sequence) {
  Sequence& s = *sequence;
  s.kv = kv_->NewSequence(s.request.cache_namespace, s.request.cache_prompt);
  sequences_.emplace(s.id, std::move(sequence));
  scheduler_.Add(&s);
  // Nothing is wanted: nothing is computed.
  if (s.num_tokens() == s.max_tokens_total) Finish(s, FinishReason::kLength, -1);
}

void Engine::Announce(const ScheduledBatch& batch) {
  for (Sequence* s : batch.admitted) {
    num_queued_.fetch_sub(1);
    s->usage.queue_ms = Milliseconds(s->submitted_us, s->admitted_us);
    stats_.prompt_tokens += s->num_prompt;
    stats_.cached_prompt_tokens += s->usage.cached_tokens;
    TokenEvent event;
    event.kind = TokenEvent::Kind::kAdmitted;
    event.usage = s->usage;
    s->stream->Push(std::move(event));
  }
}

void Engine::RunBatch(const ScheduledBatch& batch) {
  stats_.computed_prompt_tokens += batch.num_prefill_tokens;
  const Result<std::span<const float>> logits = runner_->Run(batch_builder_.Build(batch));
  if (!logits.has_value()) {
    // Nothing was committed, so nothing of this step can be reused. Others never notice.
    for (const ScheduledBatch::Item& item : batch.items) {
      Fail(*item.sequence, Error{ErrorCode::kComputeFault, logits.error().message, {}});
    }
    return;
  }
  const auto vocab = static_cast<size_t>(runner_->vocab_size());
  size_t row = 0;
  for (const ScheduledBatch::Item& item : batch.items) {
    Sequence& s = *item.sequence;
    const bool samples = CatchesUp(item);
    kv_->Commit(*s.kv, s.tokens, s.num_computed() + item.num_tokens);
    if (samples) SampleNext(s, logits->subspan(vocab * row++, vocab));
  }
}

void Engine::SampleNext(Sequence& s, std::span<const float> logits) {
  Result<Sampled> sampled = s.sampler.Sample(logits, s.prompt(), s.generated(), sampler_workspace_);
  if (!sampled.has_value()) {
    Fail(s, sampled.error());
    return;
  }
  s.last_token_us = clock_->NowMicros();
  if (s.first_token_us == 0) s.first_token_us = s.last_token_us;
  const TokenId token = sampled->token;
  if (std::ranges::find(s.request.stop_ids, token) != s.request.stop_ids.end()) {
    Finish(s, FinishReason::kStop, token);
    return;
  }
  s.tokens.push_back(token);
  ++stats_.generated_tokens;
  TokenEvent event;
  event.token = token;
  event.logprob = sampled->logprob;
  event.top = std::move(sampled->top);
  s.stream->Push(std::move(event));
  if (s.num_tokens() >= s.max_tokens_total) Finish(s, FinishReason::kLength, -1);
}

// ---- endings
// -----------------------------------------------------------------------------------------

void Engine::Finish(Sequence& s, FinishReason reason, TokenId stop_token) {
  CompleteUsage(s);
  TokenEvent event;
  event.kind = TokenEvent::Kind::kFinished;
  event.reason = reason;
  event.stop_token = stop_token;
  event.usage = s.usage;
  switch (reason) {
    case FinishReason::kStop:
      ++stats_.finished_stop;
      scheduler_.ObserveAnswer(s.num_generated());
      LogEnd(s, "stop");
      break;
    case FinishReason::kLength:
      ++stats_.finished_length;
      if (s.seniority > 0) scheduler_.ObserveAnswer(s.num_generated());
      LogEnd(s, "length");
      break;
    default:
      ++stats_.cancelled;
      LogEnd(s, "cancelled");
  }
  s.stream->Push(std::move(event));
  Forget(s);
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
  s.stream->Push(std::move(event));
  Forget(s);
}

void Engine::Forget(Sequence& s) {
  if (s.seniority == 0) num_queued_.fetch_sub(1);
  scheduler_.Remove(&s);
  sequences_.erase(s.id);
}

void Engine::FailAll(const Error& error) {
  DrainInbox();
  while (!sequences_.empty()) Fail(*sequences_.begin()->second, error);
  PublishStats();
}

Result<int64_t> Engine::LoadPromptCache(const std::string& path, const std::string& key) {
  auto loaded = lb::LoadPromptCache(*kv_, *runner_, path, key);
  PublishStats();
  return loaded;
}

Result<int64_t> Engine::SavePromptCache(const std::string& path, const std::string& key) {
  return lb::SavePromptCache(*kv_, *runner_, path, key);
}

void Engine::CompleteUsage(Sequence& s) {
  Usage& u = s.usage;
  u.completion_tokens = s.num_generated();
  if (s.admitted_us == 0) u.queue_ms = Milliseconds(s.submitted_us, clock_->NowMicros());
  if (s.first_token_us == 0) return;
  u.prefill_ms = Milliseconds(s.admitted_us, s.first_token_us);
  u.decode_ms = Milliseconds(s.first_token_us, s.last_token_us);
}

void Engine::LogEnd(const Sequence& s, std::string_view reason) const {
  if (LogVerbosity() < 1) return;
  const Usage& u = s.usage;
  const int computed = u.prompt_tokens - u.cached_tokens;
  const int after_first = std::max(0, u.completion_tokens - 1);
  LogVerbose(1,
             "id={} prefill_t={} prefill_cached_t={} prefill_tps={:.2f} ttft={:.2f}ms decode_t={} "
             "decode_tps={:.2f} tpot={:.2f}ms total_t={} queue={:.2f}ms pauses={} stop_r={}",
             s.request.id, u.prompt_tokens, u.cached_tokens, PerSecond(computed, u.prefill_ms),
             u.queue_ms + u.prefill_ms, u.completion_tokens, PerSecond(after_first, u.decode_ms),
             after_first > 0 ? u.decode_ms / after_first : 0.0,
             u.prompt_tokens + u.completion_tokens, u.queue_ms, u.num_pauses, reason);
  LogVerbose(3, "kv finish id={} pool: {}", s.request.id, kv_->Stats().ToString());
}

void Engine::PublishStats() {
  const kv::BlockPool& pool = kv_->pool(kv_->main_group());
  stats_.pool_blocks = pool.size();
  stats_.free_blocks = pool.num_free();
  stats_.cached_blocks = pool.num_cached();
  stats_.used_blocks = pool.num_used();
  stats_.running = static_cast<int>(scheduler_.running().size());
  stats_.paused = static_cast<int>(scheduler_.paused().size());
  stats_.waiting = static_cast<int>(scheduler_.waiting().size());
  stats_.pauses = scheduler_.num_pauses();
  stats_.evictions = kv_->num_evictions();
  std::lock_guard lock(published_mutex_);
  published_ = stats_;
}

}  // namespace lb

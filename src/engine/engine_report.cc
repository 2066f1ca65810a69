// What the engine tells of itself: usage, log lines, events, published numbers, the picture for GET /kv.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "engine/engine.h"

namespace lb {
namespace {

double Milliseconds(int64_t from_us, int64_t to_us) {
  return static_cast<double>(std::max<int64_t>(0, to_us - from_us)) / 1000.0;
}

double PerSecond(double count, double ms) { return ms > 0 ? count * 1000.0 / ms : 0; }

}  // namespace

void Engine::CompleteUsage(Sequence& s) {
  Usage& u = s.usage;
  u.completion_tokens = s.num_answered;
  if (s.admitted_us == 0) u.queue_ms = Milliseconds(s.submitted_us, clock_->NowMicros());
  if (s.first_token_us == 0) return;
  u.prefill_ms = Milliseconds(s.admitted_us, s.first_token_us);
  u.decode_ms = Milliseconds(s.first_token_us, s.last_token_us);
}

void Engine::ObserveEnd(const Sequence& s) {
  if (s.seniority == 0) return;
  const Usage& u = s.usage;
  stats_.total.Observe((Milliseconds(s.submitted_us, clock_->NowMicros())) / 1000);
  if (s.first_token_us == 0) return;
  stats_.prefill.Observe(u.prefill_ms / 1000);
  stats_.decode.Observe(u.decode_ms / 1000);
  if (u.completion_tokens > 1) {
    stats_.per_token.Observe(u.decode_ms / 1000 / (u.completion_tokens - 1));
  }
}

void Engine::LogEnd(const Sequence& s, std::string_view reason) const {
  if (LogVerbosity() < 1) return;
  const Usage& u = s.usage;
  const int computed = u.prompt_tokens - u.cached_tokens;
  const int after_first = std::max(0, u.completion_tokens - 1);
  // Names, units and commas as llama-box wrote them: people read them, and so do their scripts.
  LogVerbose(
      1,
      "rid {} | prefill_t = {}, prefill_cached_t = {}, prefill_tps = {:.2f} tps, ttft = {:.2f}ms, "
      "decode_t = {}, decode_tps = {:.2f} tps, tpot = {:.2f}ms, draft_t = 0, draft_apt = 0.00%, "
      "total_t = {}, stop_r = {}, queue = {:.2f}ms, pauses = {}, dropped_t = {}",
      s.request.id, u.prompt_tokens, u.cached_tokens, PerSecond(computed, u.prefill_ms),
      u.queue_ms + u.prefill_ms, u.completion_tokens, PerSecond(after_first, u.decode_ms),
      after_first > 0 ? u.decode_ms / after_first : 0.0, u.prompt_tokens + u.completion_tokens,
      reason, u.queue_ms, u.num_pauses, u.dropped_tokens);
}

void Engine::Send(Sequence& s, TokenEvent event) {
  s.stream->HoldBack(1);
  urgent_ |= event.last() || (event.kind == TokenEvent::Kind::kToken && s.num_answered == 1);
  events_.emplace_back(s.stream, std::move(event));
}

// Numbers first: who has an answer's last event sees its blocks free.
bool Engine::Publish() {
  if (!unpublished_ && events_.empty()) return false;
  PublishStats();
  unpublished_ = urgent_ = false;
  for (auto& [stream, event] : events_) {
    stream->HoldBack(-1);
    stream->Push(std::move(event));
  }
  events_.clear();
  return true;
}

void Engine::CountOn(const EngineStats& earlier) {
  earlier_ = stats_ = earlier;
  num_rejected_.store(earlier.rejected, std::memory_order_relaxed);
  PublishStats();
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
  stats_.pauses = earlier_.pauses + scheduler_.num_pauses();
  stats_.evictions = earlier_.evictions + kv_->num_evictions();
  stats_.host = kv_->host_stats();
  stats_.host.saved += earlier_.host.saved;
  stats_.host.loaded += earlier_.host.loaded;
  stats_.host.evictions += earlier_.host.evictions;
  std::lock_guard lock(published_mutex_);
  published_ = stats_;
}

namespace {

// More of them than a page shows.
constexpr int kMostRuns = 1024;
constexpr size_t kMostWaiting = 256;

}  // namespace

EngineSnapshot Engine::Snapshot() const {
  const int64_t now_us = clock_->NowMicros();
  EngineSnapshot snapshot;
  snapshot.kv = kv_->Snapshot(kMostRuns);
  for (int g = 0; g < kv_->num_groups(); ++g) {
    snapshot.block_bytes.push_back(static_cast<int64_t>(runner_->BlockBytes(g)));
  }
  std::vector<const Sequence*> shown;
  const auto add = [&](const Sequence* s) {
    SequenceInfo info;
    info.id = s->request.id;
    info.status = s->status;
    info.prompt_tokens = s->usage.prompt_tokens;
    info.cached_tokens = s->usage.cached_tokens;
    info.answer_tokens = s->num_answered;
    info.max_answer_tokens = s->max_answer;
    info.tokens = s->num_tokens();
    info.computed = s->num_computed();
    for (int g = 0; g < kv_->num_groups(); ++g) info.blocks.push_back(s->kv->table(g).num_held());
    info.pauses = s->usage.num_pauses;
    info.age_ms = (now_us - s->submitted_us) / 1000;
    snapshot.sequences.push_back(std::move(info));
    shown.push_back(s);
  };
  for (const Sequence* s : scheduler_.running()) add(s);
  for (const Sequence* s : scheduler_.paused()) add(s);
  for (const Sequence* s : scheduler_.waiting().Next(kMostWaiting)) add(s);
  const size_t waiting = scheduler_.waiting().size();
  snapshot.sequences_left_out = static_cast<int64_t>(waiting - std::min(waiting, kMostWaiting));
  for (int g = 0; g < kv_->num_groups(); ++g) {
    std::vector<const kv::BlockTable*> tables;
    for (const Sequence* s : shown) {
      tables.push_back(s->kv->attached() ? &s->kv->table(g) : nullptr);
    }
    snapshot.maps.push_back(MapBlocks(kv_->pool(g), tables));
  }
  snapshot.cost_us = clock_->NowMicros() - now_us;
  return snapshot;
}

void Engine::InspectKv(std::function<void(EngineSnapshot)> done) {
  auto call = [this, done] { done(Snapshot()); };
  if (!inbox_->Call(std::move(call))) done({});
}

}  // namespace lb

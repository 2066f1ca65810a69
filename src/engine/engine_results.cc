// What the engine makes of a step's logits and states: tokens, vectors, and where each sequence stands then.
#include <algorithm>
#include <utility>

#include "engine/context_shift.h"
#include "engine/engine.h"

namespace lb {
namespace {

// Guesses that a sequence may always have.
constexpr int kLeastDraft = 2;

}  // namespace

void Engine::TakeResults(const ScheduledBatch& batch, const LogitRows& results) {
  size_t row = 0, hidden_row = 0;
  std::vector<Sequence*> vectors;  // that are complete
  for (const ScheduledBatch::Item& item : batch.items) {
    if (item.sequence == nullptr) {
      ++row;
      continue;
    }
    Sequence& s = *item.sequence;
    const bool samples = CatchesUp(item);
    if (item.num_drafted > 0) {
      ++stats_.drafts;
      stats_.drafted_tokens += item.num_drafted;
      s.usage.drafted_tokens += item.num_drafted;
    }
    const int64_t first = s.num_computed();
    CountComputed(s, item.num_tokens);
    kv_->Commit(*s.kv, s.tokens, s.num_computed() + item.num_tokens);
    if (s.request.report_progress && s.first_token_us == 0) ReportProgress(s);
    if (s.request.embed) {
      const auto width = static_cast<size_t>(runner_->width());
      hidden_row +=
          TakeStates(s, first, item.num_tokens, runner_->hidden().subspan(hidden_row * width));
      if (samples) vectors.push_back(&s);
      continue;
    }
    if (!samples) continue;
    const auto rows = static_cast<size_t>(1 + item.num_drafted);
    Answer(s, item.num_drafted, results.Rows(row, rows));
    row += rows;
  }
  FinishVectors(vectors);
}

// The token after each guess is drawn as if the guess had been known: as long as they agree, the
// next row is what a step of its own would have given, bit for bit.
void Engine::Answer(Sequence& s, int num_drafted, const LogitRows& logits) {
  const std::vector<TokenId> draft = std::exchange(s.draft, {});
  int accepted = 0;
  while (true) {
    const auto row = static_cast<size_t>(accepted);
    if (!SampleNext(s, logits.Rows(row, 1))) {
      // It is gone, or begins anew with a shifted context.
      stats_.accepted_tokens += accepted;
      return;
    }
    // A reader that lags holds its sequence; the token is computed again then.
    if (accepted == num_drafted || s.tokens.back() != draft[row] || s.stalled()) break;
    CountComputed(s, 1);
    kv_->Commit(*s.kv, s.tokens, s.num_computed() + 1);
    ++accepted;
    ++s.usage.accepted_tokens;
  }
  if (num_drafted == 0) return;
  kv_->Rollback(*s.kv);
  stats_.accepted_tokens += accepted;
  // Guesses that fail cost time: as many as lately were right, and a few to find out more.
  s.max_draft = accepted == num_drafted ? std::min(config_.max_draft, 2 * num_drafted)
                                        : std::max(kLeastDraft, accepted + 1);
}

void Engine::CountComputed(Sequence& s, int num_tokens) {
  const int64_t end = s.num_computed() + num_tokens;
  const int64_t first_new = std::max(s.num_computed(), s.num_seen);
  stats_.recomputed_tokens += std::min(end, first_new) - s.num_computed();
  // What a shift kept is no prompt: all of it was computed before.
  const int64_t prompt = s.usage.context_shifts == 0 ? s.num_prompt : 0;
  stats_.computed_prompt_tokens += std::max<int64_t>(0, std::min(end, prompt) - first_new);
  s.num_seen = std::max(s.num_seen, end);
  stats_.longest = std::max(stats_.longest, end);
}

void Engine::ReportProgress(Sequence& s) {
  TokenEvent event;
  event.kind = TokenEvent::Kind::kProgress;
  event.computed = s.num_computed();
  Send(s, std::move(event));
}

bool Engine::SampleNext(Sequence& s, const LogitRows& logits) {
  const bool whole = !logits.all.empty();
  std::span<const uint32_t> allowed;  // the best are those of what BatchBuilder's masks let through
  if (whole && s.request.guide != nullptr) allowed = s.request.guide->Allowed();
  Result<Sampled> sampled =
      whole ? s.sampler.Sample(logits.all, s.prompt(), s.generated(), sampler_workspace_, allowed)
            : s.sampler.SampleBest(logits.best, s.prompt(), s.generated(), sampler_workspace_);
  if (!sampled.has_value()) {
    Fail(s, sampled.error());
    return false;
  }
  const int64_t now_us = clock_->NowMicros();
  if (s.first_token_us == 0) {
    s.first_token_us = now_us;
    stats_.first_token.Observe(static_cast<double>(now_us - s.submitted_us) * 1e-6);
  } else {
    stats_.token_gap.Observe(static_cast<double>(now_us - s.last_token_us) * 1e-6);
  }
  s.last_token_us = now_us;
  const TokenId token = sampled->token;
  if (std::ranges::find(s.request.stop_ids, token) != s.request.stop_ids.end()) {
    Finish(s, FinishReason::kStop, token);
    return false;
  }
  s.tokens.push_back(token);
  if (s.request.guide != nullptr) s.request.guide->Take(token);
  ++s.num_answered;
  ++stats_.generated_tokens;
  TokenEvent event;
  event.token = token;
  event.logprob = sampled->logprob;
  event.top = std::move(sampled->top);
  Send(s, std::move(event));
  if (s.num_answered >= s.max_answer) {
    Finish(s, FinishReason::kLength, -1);
    return false;
  }
  if (s.num_tokens() >= s.max_tokens_total) {
    ShiftContext(s);
    return false;
  }
  return true;
}

// What comes is what a new request with the kept tokens as its prompt would get: nothing that was
// computed with the dropped ones in sight is used again.
void Engine::ShiftContext(Sequence& s) {
  const ContextShift shift = PlanShift(s.request.keep, s.usage.prompt_tokens, s.num_tokens());
  const auto from = s.tokens.begin() + shift.keep;
  s.tokens.erase(from, from + shift.dropped);
  ++s.usage.context_shifts;
  s.usage.dropped_tokens += shift.dropped;
  ++stats_.context_shifts;
  stats_.dropped_tokens += shift.dropped;
  s.num_prompt = static_cast<int>(s.num_tokens());
  s.num_seen = s.num_tokens() - 1;  // the last was sampled and not computed yet
  s.max_tokens_total =
      std::min(limits_.max_request_tokens, s.num_tokens() + s.max_answer - s.num_answered);
  s.sampler = Sampler::Create(s.sampler.params(), runner_->vocab_size()).value();
  std::ranges::replace(ahead_, &s, nullptr);
  s.kv = kv_->NewSequence(s.request.cache_namespace, s.request.cache_prompt);
  scheduler_.Restart(&s);
  if (drafter_ != nullptr) drafter_->Forget(s.id);
  TokenEvent event;
  event.kind = TokenEvent::Kind::kShifted;
  event.usage = s.usage;
  Send(s, std::move(event));
}

}  // namespace lb

#include "engine/scheduler.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"

namespace lb {
namespace {

void InsertBySeniority(std::vector<Sequence*>& list, Sequence* sequence) {
  const auto at = std::ranges::upper_bound(list, sequence->seniority, {}, &Sequence::seniority);
  list.insert(at, sequence);
}

void EraseFrom(std::vector<Sequence*>& list, Sequence* sequence) {
  const auto at = std::ranges::find(list, sequence);
  CHECK(at != list.end());
  list.erase(at);
}

}  // namespace

ScheduledBatch Scheduler::Schedule(const ChunkPolicy& policy, int64_t now_us) {
  ScheduledBatch batch;
  Budget budget{config_.max_batch_tokens, 0};
  const int64_t pauses_before = num_pauses_;
  ScheduleRunning(budget, policy, batch);
  // Whoever had to pause somebody needs the room itself: nobody new in this step.
  if (num_pauses_ != pauses_before) return batch;
  const bool anybody_waits =
      !waiting_.empty() || std::ranges::any_of(paused_, [](Sequence* s) { return !s->stalled(); });
  if (anybody_waits) {
    // A sequence whose reader lags holds blocks and a place without using them.
    PauseStalled(batch);
    ResumePaused(budget, batch);
    AdmitWaiting(budget, now_us, batch);
  }
  TopUp(budget, batch);
  AddDrafts(budget, batch);
  return batch;
}

bool Scheduler::ReserveNext(const ScheduledBatch& batch) {
  if (!waiting_.empty() || !paused_.empty() || batch.items.size() != running_.size()) return false;
  const auto goes_on = [](const ScheduledBatch::Item& item) {
    if (item.sequence == nullptr) return false;
    const Sequence& s = *item.sequence;
    return s.num_missing() == 1 && item.num_drafted == 0 && s.num_tokens() + 1 < s.max_tokens_total && s.num_answered + 1 < s.max_answer &&
           s.stream->HasRoom(2);
  };
  if (!std::ranges::all_of(batch.items, goes_on)) return false;
  return std::ranges::all_of(batch.items, [&](const ScheduledBatch::Item& item) {
    const Sequence& s = *item.sequence;
    const int64_t end = s.num_tokens() + 1;
    if (kv_->Reservable(*s.kv, end) < end) return false;
    Reserve(*item.sequence, end);
    return true;
  });
}

void Scheduler::ScheduleRunning(Budget& budget, const ChunkPolicy& policy, ScheduledBatch& batch) {
  int decoding = 0, prefilling = 0;
  for (const Sequence* s : running_) {
    if (s->stalled()) continue;
    ++(s->num_missing() == 1 ? decoding : prefilling);
  }
  budget.prefill = std::min(budget.tokens - decoding, policy.Limit(decoding));

  const std::vector<Sequence*> by_seniority = running_;  // pausing edits running_
  for (Sequence* s : by_seniority) {
    if (s->status != SequenceStatus::kRunning || s->stalled()) continue;
    const bool decodes = s->num_missing() == 1;
    int wanted = 1;
    if (!decodes) {
      // The oldest prompt goes first and leaves a quarter to those behind it, so that a short one
      // is not held up by a long one. What they do not take it gets in TopUp.
      const bool others = prefilling > 1 || (!waiting_.empty() && !Full());
      const int share = others ? (budget.prefill * 3 + 3) / 4 : budget.prefill;
      wanted = static_cast<int>(std::min<int64_t>(s->num_missing(), share));
      --prefilling;
    }
    wanted = std::min(wanted, budget.tokens);
    if (wanted == 0) continue;
    const int granted = MakeRoom(s, wanted, batch);
    if (granted == 0) continue;
    batch.items.push_back({s, granted});
    budget.tokens -= granted;
    if (!decodes) budget.prefill -= granted;
  }
  // Counted at the end, since a later one may have pushed an earlier one out of the batch.
  for (const ScheduledBatch::Item& item : batch.items) {
    const bool decodes = item.sequence->num_missing() == 1;
    (decodes ? batch.num_decode_tokens : batch.num_prefill_tokens) += item.num_tokens;
  }
}

void Scheduler::TopUp(Budget& budget, ScheduledBatch& batch) {
  for (ScheduledBatch::Item& item : batch.items) {
    Sequence& s = *item.sequence;
    const int64_t scheduled = s.num_computed() + item.num_tokens;
    const int64_t more = std::min<int64_t>(s.num_tokens() - scheduled, budget.prefill);
    if (more <= 0) continue;
    const int64_t end = kv_->Reservable(*s.kv, scheduled + more);
    if (end <= scheduled) continue;
    Reserve(s, end);
    const int granted = static_cast<int>(end - scheduled);
    item.num_tokens += granted;
    batch.num_prefill_tokens += granted;
    budget.tokens -= granted;
    budget.prefill -= granted;
  }
}

void Scheduler::AddDrafts(Budget& budget, ScheduledBatch& batch) {
  int left = std::min(config_.max_step_drafts, budget.tokens);
  auto drafting = static_cast<int>(std::ranges::count_if(
      batch.items, [](const ScheduledBatch::Item& item) { return !item.sequence->draft.empty(); }));
  for (ScheduledBatch::Item& item : batch.items) {
    Sequence& s = *item.sequence;
    if (s.draft.empty() || left <= 0) continue;
    if (item.num_tokens != s.num_missing()) continue;
    const int share = (left + drafting - 1) / drafting;
    --drafting;
    const int64_t end = s.num_tokens();
    const int64_t wanted = std::min<int64_t>(static_cast<int64_t>(s.draft.size()), share);
    const int64_t reservable = kv_->Reservable(*s.kv, end + wanted);
    if (reservable <= end) continue;
    Reserve(s, reservable);
    item.num_drafted = static_cast<int>(reservable - end);
    batch.num_drafted_tokens += item.num_drafted;
    budget.tokens -= item.num_drafted;
    left -= item.num_drafted;
  }
}

int Scheduler::MakeRoom(Sequence* sequence, int wanted, ScheduledBatch& batch) {
  const int64_t computed = sequence->num_computed();
  while (true) {
    const int granted =
        static_cast<int>(kv_->Reservable(*sequence->kv, computed + wanted) - computed);
    if (granted > 0) {
      Reserve(*sequence, computed + granted);
      return granted;
    }
    Sequence* victim = PickVictim(sequence);
    if (victim == nullptr) {
      // The youngest yields. Alone it always fits: Submit saw to that.
      CHECK_GT(running_.size(), 1u);
      Pause(sequence, batch);
      return 0;
    }
    Pause(victim, batch);
  }
}

void Scheduler::Reserve(Sequence& sequence, int64_t num_tokens) {
  const int64_t evictions = kv_->num_evictions();
  CHECK(kv_->Reserve(*sequence.kv, num_tokens));
  const int64_t evicted = kv_->num_evictions() - evictions;
  if (evicted > 0) LogPool("evict", sequence, {evicted, sequence.num_computed()});
}

Sequence* Scheduler::PickVictim(const Sequence* needy) const {
  for (Sequence* s : running_) {
    if (s != needy && s->stalled()) return s;
  }
  Sequence* youngest = running_.back();
  return youngest->seniority > needy->seniority ? youngest : nullptr;
}

void Scheduler::Pause(Sequence* sequence, ScheduledBatch& batch) {
  const Held held = HeldBy(*sequence);
  kv_->Release(*sequence->kv);
  EraseFrom(running_, sequence);
  InsertBySeniority(paused_, sequence);
  sequence->status = SequenceStatus::kPaused;
  sequence->refused_epoch = 0;
  ++sequence->usage.num_pauses;
  ++num_pauses_;
  std::erase_if(batch.items, [=](const auto& item) { return item.sequence == sequence; });
  LogPool("pause", *sequence, held);
}

void Scheduler::PauseStalled(ScheduledBatch& batch) {
  const std::vector<Sequence*> running = running_;
  for (Sequence* s : running) {
    if (s->stalled()) Pause(s, batch);
  }
}

void Scheduler::ResumePaused(Budget& budget, ScheduledBatch& batch) {
  const std::vector<Sequence*> by_seniority = paused_;
  for (Sequence* s : by_seniority) {
    if (s->stalled()) continue;
    if (Full() || budget.prefill == 0) return;
    // In order: a younger one would take the room that the older one waits for.
    if (TryStart(s, budget, batch) != Start::kStarted) return;
  }
}

void Scheduler::AdmitWaiting(Budget& budget, int64_t now_us, ScheduledBatch& batch) {
  if (std::ranges::any_of(paused_, [](Sequence* s) { return !s->stalled(); })) return;
  std::vector<Sequence*> passed;
  const auto places = static_cast<size_t>(config_.max_sequences) - running_.size();
  for (Sequence* s : waiting_.Next(kLookAhead + places)) {
    if (Full() || budget.prefill == 0) return;
    if (TryStart(s, budget, batch) != Start::kStarted) {
      if (s->bypassed >= kMaxBypass) return;
      passed.push_back(s);
      continue;
    }
    s->admitted_us = now_us;
    batch.admitted.push_back(s);
    // The limit holds within a step too: several small ones may start in it.
    bool spent = false;
    for (Sequence* p : passed) spent |= ++p->bypassed >= kMaxBypass;
    if (spent) return;
  }
}

Scheduler::Start Scheduler::TryStart(Sequence* s, Budget& budget, ScheduledBatch& batch) {
  // Alone, a sequence can have everything, so whatever refused it is gone.
  const bool alone = running_.empty();
  // The first may take more than time allows for, since it cannot be cut; a step holds it.
  if (config_.whole && !alone && s->num_tokens() > budget.prefill) return Start::kNoRoom;
  if (!alone && s->refused_epoch == kv_->epoch()) return Start::kNoRoom;
  const kv::PrefixMatch match = kv_->Match(*s->kv, s->tokens);
  if (match.pending && !alone) return Start::kPending;
  std::vector<int64_t> promised(static_cast<size_t>(kv_->num_groups()), 0);
  for (const Sequence* r : running_) kv_->AddPromised(*r->kv, ExpectedTokens(*r), promised);
  const int64_t goal = alone ? s->num_tokens() : ExpectedTokens(*s);
  if (!kv_->CanAdmit(match, goal, promised)) {
    CHECK(!alone);
    s->refused_epoch = kv_->epoch();
    return Start::kNoRoom;
  }
  const bool resumes = s->status == SequenceStatus::kPaused;
  if (resumes) {
    EraseFrom(paused_, s);
  } else {
    waiting_.Remove(s, /*admitted=*/true);
    s->seniority = next_seniority_++;
    s->usage.cached_tokens = static_cast<int>(match.num_tokens());
  }
  kv_->Attach(*s->kv, s->tokens, match);
  s->status = SequenceStatus::kRunning;
  InsertBySeniority(running_, s);
  const int wanted = static_cast<int>(
      config_.whole ? s->num_missing() : std::min<int64_t>(s->num_missing(), budget.prefill));
  const int granted = MakeRoom(s, wanted, batch);
  CHECK(config_.whole ? granted == wanted : granted > 0);
  batch.items.push_back({s, granted});
  batch.num_prefill_tokens += granted;
  budget.prefill = std::max(0, budget.prefill - granted);
  budget.tokens -= granted;
  LogPool(resumes ? "resume" : "admit", *s, HeldBy(*s));
  return Start::kStarted;
}

int64_t Scheduler::ExpectedTokens(const Sequence& s) const {
  const int64_t more =
      std::max<int64_t>(kv::kBlockTokens, static_cast<int64_t>(expected_answer_) - s.num_answered);
  return std::min(s.max_tokens_total, s.num_tokens() + more);
}

void Scheduler::ObserveAnswer(int num_tokens) {
  expected_answer_ += (num_tokens - expected_answer_) / 16;
}

void Scheduler::Remove(Sequence* s) {
  switch (s->status) {
    case SequenceStatus::kWaiting:
      waiting_.Remove(s, /*admitted=*/false);
      break;
    case SequenceStatus::kRunning:
      EraseFrom(running_, s);
      break;
    case SequenceStatus::kPaused:
      EraseFrom(paused_, s);
      break;
    case SequenceStatus::kFinished:
      return;
  }
  const Held held = HeldBy(*s);
  kv_->Release(*s->kv);
  s->status = SequenceStatus::kFinished;
  LogPool("finish", *s, held);
}

void Scheduler::Restart(Sequence* s) {
  CHECK(s->status == SequenceStatus::kRunning);
  // Its place in running_ is kept, so whoever is oldest still moves in every step; blocks it finds
  // as any running sequence does, from younger ones if need be.
  // What is on the host would take blocks before there are any.
  kv::PrefixMatch match = kv_->Match(*s->kv, s->tokens);
  match.LeaveOutHost();
  kv_->Attach(*s->kv, s->tokens, match);
  LogPool("shift", *s, HeldBy(*s));
}

Scheduler::Held Scheduler::HeldBy(const Sequence& s) const {
  return {s.kv->table(kv_->main_group()).num_held(), s.num_computed()};
}

void Scheduler::LogPool(const char* event, const Sequence& s, Held held) const {
  if (LogVerbosity() < 3) return;
  LogVerbose(3,
             "kv {} id={} prompt={} cached={} answer={} computed={} blocks={} running={} paused={} "
             "waiting={} pool: {}",
             event, s.request.id, s.usage.prompt_tokens, s.usage.cached_tokens, s.num_answered,
             held.computed, held.blocks, running_.size(), paused_.size(), waiting_.size(),
             kv_->Stats().ToString());
}

}  // namespace lb

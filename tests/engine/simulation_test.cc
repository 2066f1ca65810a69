// Proves the scheduler's promises on thousands of random requests through the real engine and a
// fake model that notices every wrong block: answers equal those of the model alone, whatever is
// paused, cancelled, faulted, evicted or moved to the host meanwhile; the cache's books balance after every step; the
// oldest request moves in every step; waiting stays within the bounds of docs/contracts/engine.md.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/log.h"
#include "engine/engine.h"
#include "tests/engine/fake_runner.h"

namespace lb {
namespace {

// Runs on by itself, so that the engine sees steps take time.
class RunningClock final : public Clock {
 public:
  int64_t NowMicros() const override { return now_us += 37; }
  mutable int64_t now_us = 0;
};

struct Totals {
  int64_t requests = 0, completed = 0, cancelled = 0, failed = 0, pauses = 0, evictions = 0;
  int64_t shifts = 0, left_midway = 0, stopped_midway = 0;
  int64_t drafted = 0, accepted = 0;
  int64_t loaded = 0, host_evictions = 0, failed_moves = 0;
  int64_t queued_steps = 0, dead_rows = 0;
  int64_t steps = 0, cached_tokens = 0, worst_bypass_percent = 0, stopped = 0;
};

struct Open {
  Request request;
  std::unique_ptr<TokenStream> stream;
  std::vector<TokenId> tokens;
  bool ended = false;
  TokenEvent last;
  int cached = -1;
  int cancel_at_step = -1;  // or never
  int read_every = 1;       // steps between two looks
  int64_t work = 0;         // tokens that it may take in all
  // For the bounds on waiting.
  int place = 0;            // in its client's queue, from 1
  size_t most_clients = 0;  // in the queue while it waited
  int64_t admissions_before = 0;
  bool admitted = false;
  int64_t admitted_step = 0;
  int64_t allowed_steps = 0;
};

class Simulation {
 public:
  Simulation(uint64_t seed, Totals* totals) : queues_(seed % 4 == 0), rng_(seed), totals_(totals) {
    static const std::vector<std::vector<int>> kShapes = {{0}, {0, 40}, {40, 0}, {64}, {0, 17, 64}, {0}, {0, 0}};
    windows_ = kShapes[Pick(kShapes.size())];
    max_request_ = 40 + static_cast<int64_t>(Pick(260));
    const auto need = static_cast<int>(kv::BlocksFor(max_request_));
    // From one block above the largest request to plenty.
    const int blocks =
        need + 1 + (Pick(3) == 0 ? 0 : static_cast<int>(Pick(static_cast<size_t>(need) * 5))) + (queues_ ? 4 * need : 0);
    std::vector<int> sizes;
    for (int w : windows_) {
      EXPECT_TRUE(w == 0 || blocks >= 1);
      const int least = w > 0 ? static_cast<int>(kv::BlocksFor(w)) + 2 : blocks;
      const int size =
          w > 0 && Pick(2) == 0 ? least + static_cast<int>(Pick(6)) : std::max(blocks, least);
      sizes.push_back(size);
      config_.kv_groups.push_back({w, size});
    }
    config_.max_request_tokens = max_request_;
    config_.max_sequences = 1 + static_cast<int>(Pick(12));
    config_.max_batch_tokens = 1 + static_cast<int>(Pick(Pick(2) == 0 ? 8 : 200));
    config_.stream_capacity = Pick(3) == 0 ? 1 + static_cast<int>(Pick(8)) : 256;
    slow_readers_ = config_.stream_capacity < 256;
    config_.prefix_cache = Pick(8) != 0;
    const bool windowed = std::ranges::all_of(windows_, [](int w) { return w > 0; });
    if (!windowed && Pick(4) > 0) config_.host_slots = 1 + static_cast<int>(Pick(static_cast<size_t>(need) * 6));
    config_.lookup_min_match = static_cast<int>(Pick(3));
    config_.max_draft = 1 + static_cast<int>(Pick(12));
    config_.max_step_drafts = 1 + static_cast<int>(Pick(24));
    config_.num_adapters = Pick(2) == 0 ? 2 : 0;
    if (config_.num_adapters > 0 && Pick(2) == 0) config_.start_adapters = {{0, 1.0f}};
    if (queues_) config_.lookup_min_match = config_.max_step_drafts = 0;
    shifts_ = Pick(3) == 0;
    fault_rate_ = Pick(3) == 0 ? 0.002 : 0;
    spoil_rate_ = Pick(3) == 0 ? 0.0005 : 0;
    cancel_rate_ = Pick(2) == 0 ? 0.1 : 0;
    auto runner = std::make_unique<test::FakeRunner>(windows_, sizes, config_.host_slots);
    runner_ = runner.get();
    if (Pick(2) == 0) runner_->best_given = test::kVocab;
    runner_->apart = Pick(2) == 0;
    if (queues_) runner_->best_given = test::kVocab, runner_->apart = runner_->queues = true;
    runner_->fail_move = [this] {
      const bool fails = Chance(10 * fault_rate_);
      totals_->failed_moves += fails;
      return fails;
    };
    runner_->fail = [this](const ForwardBatch&) {
      MidStep();
      return Chance(fault_rate_);
    };
    runner_->spoil = [this](std::span<float> logits) {
      if (Chance(spoil_rate_)) logits[3] = std::numeric_limits<float>::infinity();
    };
    auto engine = Engine::Create(config_, std::move(runner), &clock_);
    EXPECT_TRUE(engine.has_value()) << engine.error().message;
    engine_ = std::move(*engine);
    if (Pick(2) == 0 && !queues_) UseDrafter();
    for (int i = 0; i < 4; ++i) texts_.push_back(RandomTokens(static_cast<size_t>(max_request_)));
  }

  // The same model with a cache of its own, which may be too small: its guesses are right, but for
  // sampling, and where it fails there are none.
  void UseDrafter() {
    ModelDrafterConfig config;
    config.max_batch_tokens = 12 + static_cast<int>(Pick(60));  // one for each sequence at least
    config.min_probability = 0;
    std::vector<int> sizes;
    for (const kv::KvGroupConfig& group : config_.kv_groups) {
      const int least = group.window > 0 ? static_cast<int>(kv::BlocksFor(group.window)) + 2 : 2;
      sizes.push_back(least + static_cast<int>(Pick(static_cast<size_t>(group.num_blocks))));
      config.kv_groups.push_back({group.window, sizes.back()});
    }
    auto runner = std::make_unique<test::FakeRunner>(windows_, sizes);
    drafting_ = runner.get();
    drafting_->fail = [this](const ForwardBatch&) { return Chance(fault_rate_); };
    auto drafter = ModelDrafter::Create(std::move(config), std::move(runner));
    ASSERT_TRUE(drafter.has_value()) << drafter.error().message;
    drafter_ = drafter->get();
    engine_->UseDrafter(std::move(*drafter));
  }

  // What other threads may do while a step runs: a client leaves, the server is told to stop.
  void MidStep() {
    if (Chance(cancel_rate_ / 20)) {
      for (auto& [id, open] : open_) {
        if (!open->stream || open->ended || Pick(3) != 0) continue;
        open->stream.reset();
        ++totals_->cancelled;
        ++totals_->left_midway;
        break;
      }
    }
    if (stop_midway_) {
      engine_->StopAccepting();
      ++totals_->stopped_midway;
    }
  }

  // Some simulations are stopped in the middle: every stream then ends, and every block is back.
  void StopAll() {
    engine_->StopAccepting();
    engine_->FailAll(Error{ErrorCode::kUnavailable, "stop", {}});
    for (auto& [id, open] : open_) {
      if (!open->stream) continue;
      Read(*open);
      ASSERT_TRUE(open->ended) << id;
    }
    const EngineStats stats = engine_->Stats();
    ASSERT_EQ(stats.used_blocks + stats.running + stats.paused + stats.waiting, 0);
    ASSERT_TRUE(engine_->kv().CheckInvariants().has_value());
    totals_->stopped += stats.failed;
  }

  void Run(int num_requests) {
    const int stop_at = Pick(5) == 0 ? static_cast<int>(Pick(1500)) : -1;
    const double arrival = (0.02 + 0.3 * Uniform()) * (queues_ ? 0.2 : 1);
    int sent = 0;
    for (step_ = 0; sent < num_requests || !engine_->idle(); ++step_) {
      ASSERT_LT(step_, 3'000'000) << "the simulation does not end";
      if (step_ == stop_at) {
        stop_midway_ = Pick(2) == 0;
        if (stop_midway_) {
          ASSERT_NO_FATAL_FAILURE(Step());
        }
        return StopAll();
      }
      while (sent < num_requests && Chance(arrival)) {
        Send();
        ++sent;
      }
      ASSERT_NO_FATAL_FAILURE(Step());
    }
    ASSERT_NO_FATAL_FAILURE(Step());
    for (auto& [id, open] : open_) {
      if (!open->stream) continue;
      Read(*open);  // what a slow reader has not seen yet
      ASSERT_TRUE(open->ended) << id;
    }
    Reap();
    const EngineStats stats = engine_->Stats();
    ASSERT_EQ(stats.used_blocks, 0);
    ASSERT_EQ(stats.free_blocks + stats.cached_blocks, stats.pool_blocks);
    ASSERT_EQ(stats.finished_length + stats.finished_stop + stats.cancelled + stats.failed,
              num_requests);
    totals_->requests += num_requests;
    totals_->pauses += stats.pauses;
    totals_->evictions += stats.evictions;
    totals_->loaded += stats.host.loaded;
    totals_->host_evictions += stats.host.evictions;
    totals_->steps += stats.steps;
    totals_->queued_steps += runner_->queued_steps;
    totals_->dead_rows += runner_->sequences_computed - stats.step_sequences;
    totals_->cached_tokens += stats.cached_prompt_tokens;
  }

 private:
  size_t Pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(rng_); }
  double Uniform() { return std::uniform_real_distribution<>(0, 1)(rng_); }
  bool Chance(double p) { return p > 0 && Uniform() < p; }
  std::vector<TokenId> RandomTokens(size_t n) {
    std::vector<TokenId> out(n);
    for (TokenId& t : out) t = static_cast<TokenId>(Pick(test::kVocab));
    return out;
  }

  void Send() {
    auto open = std::make_unique<Open>();
    Request& r = open->request;
    r.id = std::to_string(next_id_++);
    // A cut of a shared text, or of an earlier answer, and a tail of its own.
    const auto& text = texts_[Pick(texts_.size())];
    const size_t longest = static_cast<size_t>(max_request_) - 1;
    size_t length = 1 + Pick(longest);
    if (Pick(2) == 0) length = std::max<size_t>(1, length / 3);
    const size_t shared = Pick(4) == 0 ? length : Pick(length + 1);
    r.prompt.assign(text.begin(),
                    text.begin() + static_cast<std::ptrdiff_t>(std::min(shared, text.size())));
    const auto tail = RandomTokens(length - r.prompt.size());
    r.prompt.insert(r.prompt.end(), tail.begin(), tail.end());
    r.max_tokens = Pick(10) == 0 ? -1 : static_cast<int64_t>(Pick(60));
    r.sampling.temperature = Pick(2) == 0 ? 0.0f : 1.0f;
    r.sampling.seed = Pick(5);
    if (Pick(3) == 0) r.stop_ids = {static_cast<TokenId>(Pick(test::kVocab))};
    r.ignore_eos = Pick(4) == 0;
    r.cache_prompt = Pick(8) != 0;
    for (int a = 0; a < config_.num_adapters; ++a) {
      if (Pick(2) == 0) r.adapters.push_back({a, Pick(2) == 0 ? 1.0f : 0.5f});
    }
    if (shifts_ && Pick(3) == 0) {
      r.context_shift = true;
      r.keep = static_cast<int64_t>(Pick(static_cast<size_t>(max_request_))) - 1;
      if (r.max_tokens > 0) r.max_tokens *= 3;
    }
    r.client = std::string(1, static_cast<char>('a' + Pick(4)));
    if (Chance(cancel_rate_)) open->cancel_at_step = step_ + static_cast<int>(Pick(200));
    if (slow_readers_ && Pick(4) == 0) open->read_every = 1 + static_cast<int>(Pick(50));
    const int64_t room = max_request_ - static_cast<int64_t>(r.prompt.size());
    open->work = static_cast<int64_t>(r.prompt.size());
    if (r.context_shift) {
      // Every shift makes room for a quarter of the context, and has the rest computed again.
      const int64_t answer = r.max_tokens < 0 ? max_request_ : r.max_tokens;
      open->work += answer + (answer / (max_request_ / 4) + 1) * max_request_;
    } else {
      open->work += r.max_tokens < 0 ? room : std::min(room, r.max_tokens);
    }
    int before = 0;
    for (const auto& [id, o] : open_) before += !o->admitted && o->request.client == r.client;
    open->place = before + 1;
    auto stream = engine_->Submit(r);
    ASSERT_TRUE(stream.has_value()) << stream.error().message;
    open->stream = std::move(*stream);
    open_.emplace(r.id, std::move(open));
  }

  void Step() {
    // Who must move: the oldest running one whose reader keeps up.
    std::string mover;
    int64_t computed = 0, missing = 0;
    int answered = 0;
    for (const Sequence* s : engine_->scheduler().running()) {
      if (s->stalled()) continue;
      mover = s->request.id;
      computed = s->num_computed();
      missing = s->num_missing();
      answered = s->num_answered;
      break;
    }
    for (auto& [id, open] : open_) {
      if (open->cancel_at_step == step_ && open->stream) {
        open->stream.reset();
        ++totals_->cancelled;
        if (id == mover) mover.clear();
      }
    }
    clock_.now_us += static_cast<int64_t>(Pick(3000));
    const int64_t failed = engine_->Stats().failed;
    engine_->Step();
    ASSERT_EQ(runner_->complaint, "");
    if (drafter_ != nullptr) {
      ASSERT_EQ(drafting_->complaint, "");
      const auto drafts = drafter_->kv().CheckInvariants();
      ASSERT_TRUE(drafts.has_value()) << drafts.error().message;
    }
    const auto sound = engine_->kv().CheckInvariants();
    ASSERT_TRUE(sound.has_value()) << sound.error().message;
    const EngineStats stats = engine_->Stats();
    ASSERT_EQ(stats.free_blocks + stats.cached_blocks + stats.used_blocks, stats.pool_blocks);
    ASSERT_EQ(stats.host.free + stats.host.kept, config_.host_slots);
    ASSERT_LE(stats.running, config_.max_sequences);
    if (!mover.empty() && stats.failed == failed) {
      for (const Sequence* s : engine_->scheduler().running()) {
        if (s->request.id != mover) continue;
        // An answer that grew may have had its context shifted, and so less of it computed.
        ASSERT_TRUE(s->num_computed() > computed || s->num_answered > answered)
            << mover << " stood still with " << missing;
      }
      for (const Sequence* s : engine_->scheduler().paused()) {
        ASSERT_NE(s->request.id, mover) << "the oldest was paused";
      }
    }
    for (auto& [id, open] : open_) {
      if (open->stream && step_ % open->read_every == 0) Read(*open);
    }
    ASSERT_NO_FATAL_FAILURE(NoteAdmissions());
    Reap();
  }

  void Read(Open& open) {
    for (TokenEvent& e : open.stream->Take()) {
      EXPECT_FALSE(open.ended) << "an event after the last";
      if (e.kind == TokenEvent::Kind::kAdmitted) open.cached = e.usage.cached_tokens;
      if (e.kind == TokenEvent::Kind::kToken) open.tokens.push_back(e.token);
      if (e.last()) {
        open.ended = true;
        open.last = e;
      }
    }
  }

  void NoteAdmissions() {
    const Scheduler& scheduler = engine_->scheduler();
    std::map<std::string, const Sequence*> waiting;
    for (const Sequence* s : scheduler.waiting().Next(1'000'000)) waiting[s->request.id] = s;
    std::vector<Open*> fresh;
    for (auto& [id, open] : open_) {
      if (open->admitted) continue;
      open->most_clients = std::max(open->most_clients, scheduler.waiting().num_clients());
      if (!waiting.contains(id)) fresh.push_back(open.get());
    }
    for (Open* o : fresh) o->admitted = true;
    for (Open* o : fresh) {
      o->admitted_step = step_;
      // 9 admissions for every turn of every client that comes before it; "+ 1" for its own client.
      const int64_t bound =
          (1 + Scheduler::kMaxBypass) * o->place * (static_cast<int64_t>(o->most_clients) + 1);
      ASSERT_LE(o->admissions_before, bound) << o->request.id << " was passed by too many";
      totals_->worst_bypass_percent =
          std::max(totals_->worst_bypass_percent, o->admissions_before * 100 / bound);
      // Once admitted, it ends within the tokens of those before it and its own.
      o->allowed_steps = o->work + 2;
      for (auto& [id, other] : open_) {
        if (other.get() != o && other->admitted && !other->ended) o->allowed_steps += other->work;
      }
    }
    for (auto& [id, open] : open_) {
      if (!open->admitted) open->admissions_before += static_cast<int64_t>(fresh.size());
      if (open->admitted && !open->ended && open->stream && !slow_readers_) {
        ASSERT_LE(step_ - open->admitted_step, open->allowed_steps) << id << " starves";
      }
    }
  }

  void Reap() {
    for (auto it = open_.begin(); it != open_.end();) {
      Open& o = *it->second;
      if (!o.stream) {
        it = open_.erase(it);
        continue;
      }
      if (!o.ended) {
        ++it;
        continue;
      }
      const auto alone = test::AnswerAlone(o.request, windows_, max_request_);
      const Usage& u = o.last.usage;
      EXPECT_EQ(u.prompt_tokens, static_cast<int>(o.request.prompt.size()));
      EXPECT_EQ(u.completion_tokens, static_cast<int>(o.tokens.size()));
      EXPECT_GE(u.cached_tokens, 0);
      EXPECT_LT(u.cached_tokens, u.prompt_tokens);
      if (o.cached >= 0) {
        EXPECT_EQ(u.cached_tokens, o.cached) << "changed after admission";
      }
      if (!o.request.cache_prompt || !config_.prefix_cache) {
        EXPECT_EQ(u.cached_tokens, 0);
      }
      if (o.last.kind == TokenEvent::Kind::kFinished) {
        ++totals_->completed;
        EXPECT_EQ(o.tokens, alone.tokens) << o.request.id << " paused " << u.num_pauses;
        EXPECT_EQ(o.last.reason, alone.reason);
        EXPECT_EQ(u.context_shifts, alone.shifts);
        EXPECT_EQ(u.dropped_tokens, alone.dropped);
        totals_->shifts += u.context_shifts;
        totals_->drafted += u.drafted_tokens;
        totals_->accepted += u.accepted_tokens;
        EXPECT_LE(u.accepted_tokens, u.drafted_tokens);
      } else {
        ++totals_->failed;
        EXPECT_EQ(o.last.error.code, ErrorCode::kComputeFault);
        ASSERT_LE(o.tokens.size(), alone.tokens.size());
        EXPECT_TRUE(std::equal(o.tokens.begin(), o.tokens.end(), alone.tokens.begin()));
      }
      // A later turn of this conversation may build on it.
      std::vector<TokenId> text = o.request.prompt;
      text.insert(text.end(), o.tokens.begin(), o.tokens.end());
      texts_[Pick(texts_.size())] = std::move(text);
      it = open_.erase(it);
    }
  }

  // A device that takes a step while another runs, and little that keeps the engine from queueing one.
  const bool queues_;
  std::mt19937_64 rng_;
  Totals* totals_;
  RunningClock clock_;
  EngineConfig config_;
  std::vector<int> windows_;
  int64_t max_request_ = 0;
  bool slow_readers_ = false;
  bool shifts_ = false;
  bool stop_midway_ = false;
  double fault_rate_ = 0, spoil_rate_ = 0, cancel_rate_ = 0;
  test::FakeRunner* runner_ = nullptr;
  test::FakeRunner* drafting_ = nullptr;  // null: no draft model
  const ModelDrafter* drafter_ = nullptr;
  std::unique_ptr<Engine> engine_;
  std::vector<std::vector<TokenId>> texts_;
  std::map<std::string, std::unique_ptr<Open>> open_;
  int next_id_ = 0;
  int step_ = 0;
};

int64_t Simulate(int scenarios, int requests, uint64_t first_seed) {
  SetLogVerbosity(0);
  spdlog::set_level(spdlog::level::off);  // injected faults would fill the screen
  Totals totals;
  for (int i = 0; i < scenarios; ++i) {
    SCOPED_TRACE(testing::Message() << "seed " << first_seed + static_cast<uint64_t>(i));
    Simulation(first_seed + static_cast<uint64_t>(i), &totals).Run(requests);
    if (testing::Test::HasFailure()) break;
  }
  spdlog::set_level(spdlog::level::info);
  SetLogVerbosity(1);
  std::printf(
      "simulated %ld requests in %ld steps (%ld queued ahead, %ld rows of them for nobody): %ld completed, %ld cancelled, %ld failed by injected "
      "faults, %ld "
      "pauses, %ld evictions, %ld blocks back from the host (%ld evicted there, %ld lists of moves failed), "
      "%ld cached tokens, %ld context shifts, %ld of %ld guesses right; "
      "longest wait %ld %% of its "
      "bound\n",
      totals.requests, totals.steps, totals.queued_steps, totals.dead_rows, totals.completed, totals.cancelled, totals.failed,
      totals.pauses, totals.evictions, totals.loaded, totals.host_evictions, totals.failed_moves, totals.cached_tokens, totals.shifts, totals.accepted,
      totals.drafted, totals.worst_bypass_percent);
  // A simulation that never met trouble proves nothing.
  EXPECT_GT(totals.pauses, 0);
  EXPECT_GT(totals.evictions, 0);
  EXPECT_GT(totals.loaded, 0);
  EXPECT_GT(totals.host_evictions, 0);
  EXPECT_GT(totals.failed_moves, 0);
  EXPECT_GT(totals.cached_tokens, 0);
  EXPECT_GT(totals.failed, 0);
  EXPECT_GT(totals.cancelled, 0);
  EXPECT_GT(totals.left_midway, 0);
  EXPECT_GT(totals.stopped, 0);
  EXPECT_GT(totals.stopped_midway, 0);
  EXPECT_GT(totals.shifts, 0);
  EXPECT_GT(totals.queued_steps, 0);
  EXPECT_GT(totals.dead_rows, 0);
  EXPECT_GT(totals.accepted, 0);
  EXPECT_GT(totals.drafted, totals.accepted);
  return totals.requests;
}

TEST(SimulationTest, ThousandRequests) { Simulate(28, 60, 1); }

TEST(SlowSimulationTest, TwelveThousandRequests) { EXPECT_GE(Simulate(130, 120, 1000), 10'000); }

}  // namespace
}  // namespace lb

// Proves that what the engine tells of itself is exact: counters and histograms after known
// requests, the lines of --verbosity 3, and the picture for GET /kv.
#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>

#include <map>
#include <sstream>

#include "tests/engine/engine_fixture.h"

namespace lb {
namespace {

using test::Answer;
using test::Client;
using testing::ElementsAre;
using testing::HasSubstr;

// Every reading is a hundredth of a second later.
class TickingClock final : public Clock {
 public:
  int64_t NowMicros() const override { return now_us += 10'000; }
  mutable int64_t now_us = 0;
};

class EngineReportTest : public test::EngineTest {};

TEST_F(EngineReportTest, CountersOfKnownRequests) {
  Start({0}, 64, 512);
  Ask(Greedy(Tokens(100, 1), 10));
  Ask(Greedy(Tokens(100, 1), 10));  // 96 cached
  Ask(Greedy(Tokens(17, 2), 5));    // 16 computed, then one alone: still prompt
  Request stop = Greedy(Tokens(20, 3), 10);
  stop.stop_ids = {test::AnswerAlone(stop, {0}, 512).tokens[3]};
  const auto alone = test::AnswerAlone(stop, {0}, 512);
  Ask(stop);
  auto satisfied = Send(Greedy(Tokens(40, 4), 100));
  auto leaves = Send(Greedy(Tokens(40, 5), 100));
  for (int i = 0; i < 5; ++i) Step();
  const EngineStats before = engine_->Stats();
  EXPECT_EQ(before.running, 2);
  satisfied->stream->Finish();
  satisfied->stream.reset();
  leaves->stream.reset();
  Step();
  Ask(Greedy(Tokens(30, 6), 0));  // nothing wanted, nothing computed
  EXPECT_FALSE(engine_->Submit(Greedy(Tokens(600, 6), 0)).has_value());

  const EngineStats s = engine_->Stats();
  EXPECT_EQ(s.prompt_tokens, 100 + 100 + 17 + 20 + 40 + 40);
  EXPECT_EQ(s.cached_prompt_tokens, 96);
  EXPECT_EQ(s.computed_prompt_tokens, s.prompt_tokens - s.cached_prompt_tokens);
  EXPECT_EQ(s.recomputed_tokens, 0);
  EXPECT_EQ(s.pauses, 0);
  const auto open =
      before.generated_tokens - (10 + 10 + 5 + static_cast<int64_t>(alone.tokens.size()));
  EXPECT_GT(open, 0);
  EXPECT_EQ(s.generated_tokens, before.generated_tokens);
  EXPECT_EQ(s.finished_length, 4);
  EXPECT_EQ(s.finished_stop, 2);
  EXPECT_EQ(s.cancelled, 1);
  EXPECT_EQ(s.failed, 0);
  EXPECT_EQ(s.rejected, 1);
  EXPECT_EQ(s.queue.count(), 6);
  EXPECT_EQ(s.first_token.count(), 6);
  EXPECT_EQ(s.total.count(), 5);
  EXPECT_EQ(s.per_token.count(), 5);
  // One gap before every sampled token but the first, the stop id's too.
  EXPECT_EQ(s.token_gap.count(), s.generated_tokens - 6 + 1);
}

TEST_F(EngineReportTest, APausedRequestIsRecomputedAndCountedAsSuch) {
  Start({0}, 20, 300);
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Client*> all;
  for (uint64_t i = 0; i < 3; ++i) {
    Request r = Greedy(Tokens(60, 10 + i), 150);
    r.cache_prompt = false;  // so that every pause costs
    clients.push_back(Send(r));
    all.push_back(clients.back().get());
  }
  RunAll(all);
  const EngineStats s = engine_->Stats();
  EXPECT_GT(s.pauses, 0);
  EXPECT_EQ(s.computed_prompt_tokens, 180);
  EXPECT_EQ(s.generated_tokens, 450);
  // All that was computed: prompts, answers but for their last tokens, and what was done again.
  EXPECT_EQ(runner_->tokens_computed, 180 + 450 - 3 + s.recomputed_tokens);
  EXPECT_GT(s.recomputed_tokens, 0);
}

TEST_F(EngineReportTest, HistogramsHaveTheTimes) {
  TickingClock clock;
  EngineConfig config;
  config.kv_groups = {{0, 64}};
  config.max_request_tokens = 512;
  auto engine = std::move(*Engine::Create(
      config, std::make_unique<test::FakeRunner>(std::vector<int>{0}, std::vector<int>{64}),
      &clock));
  auto stream = std::move(*engine->Submit(Greedy(Tokens(20, 1), 3)));
  TokenEvent last;
  while (!last.last()) {
    engine->Step();
    for (TokenEvent& e : stream->Take()) last = e;
  }
  const EngineStats s = engine->Stats();
  EXPECT_EQ(s.queue.count(), 1);
  EXPECT_NEAR(s.queue.sum, last.usage.queue_ms / 1000, 1e-9);
  EXPECT_NEAR(s.first_token.sum, (last.usage.queue_ms + last.usage.prefill_ms) / 1000, 1e-9);
  EXPECT_EQ(s.token_gap.count(), 2);
  EXPECT_NEAR(s.token_gap.sum, last.usage.decode_ms / 1000, 1e-9);
  EXPECT_NEAR(s.per_token.sum, last.usage.decode_ms / 2000, 1e-9);
  EXPECT_NEAR(s.decode.sum, last.usage.decode_ms / 1000, 1e-9);
  EXPECT_GE(s.total.sum, s.first_token.sum + s.decode.sum);
  Histogram h;
  for (double seconds : {0.0, 0.001, 0.0011, 300.0, 301.0}) h.Observe(seconds);
  EXPECT_EQ(h.counts[0], 2);
  EXPECT_EQ(h.counts[1], 1);
  EXPECT_EQ(h.counts[std::size(kLatencyBounds) - 1], 1);
  EXPECT_EQ(h.counts[std::size(kLatencyBounds)], 1);
}

// The lines that `act` logs at --verbosity 3, as "event id".
template <typename Act>
std::vector<std::string> KvLines(Act&& act) {
  std::ostringstream text;
  auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text);
  auto logger = std::make_shared<spdlog::logger>("test", sink);
  logger->set_pattern("%v");
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(logger);
  SetLogVerbosity(3);
  act();
  SetLogVerbosity(0);
  spdlog::set_default_logger(before);
  std::vector<std::string> lines;
  std::istringstream in(text.str());
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("kv ", 0) == 0) lines.push_back(line);
  }
  return lines;
}

TEST_F(EngineReportTest, LinesOfTheCache) {
  Start({0}, 20, 300);
  auto named = [](Request r, std::string id) {
    r.id = std::move(id);
    return r;
  };
  const auto one = KvLines([&] { Ask(named(Greedy(Tokens(100, 1), 8), "a")); });
  EXPECT_THAT(one, ElementsAre("kv admit id=a prompt=100 cached=0 answer=0 computed=0 blocks=4 "
                               "running=1 paused=0 waiting=0 pool: free=16 cached=0 used=4 of 20",
                               "kv finish id=a prompt=100 cached=0 answer=8 computed=107 blocks=7 "
                               "running=0 paused=0 waiting=0 pool: free=14 cached=6 used=0 of 20"));
  const auto again = KvLines([&] { Ask(named(Greedy(Tokens(100, 1), 8), "b")); });
  ASSERT_EQ(again.size(), 2u);
  EXPECT_THAT(again[0],
              HasSubstr("kv admit id=b prompt=100 cached=96 answer=0 computed=96 blocks=7"));
  const auto evicts = KvLines([&] { Ask(named(Greedy(Tokens(280, 2), 10), "c")); });
  EXPECT_THAT(evicts, testing::Contains(HasSubstr("kv evict id=c prompt=280")));
  const auto pauses = KvLines([&] {
    auto d = Send(named(Greedy(Tokens(60, 3), 150), "d"));
    auto e = Send(named(Greedy(Tokens(60, 4), 150), "e"));
    RunAll({d.get(), e.get()});
  });
  std::string events;
  for (const std::string& line : pauses) {
    if (line.rfind("kv evict", 0) != 0) events += line.substr(3, line.find(" prompt") - 3) + "; ";
  }
  EXPECT_THAT(events, testing::MatchesRegex("admit id=d; admit id=e; .*pause id=e; .*finish id=d; "
                                            "resume id=e; finish id=e; "));
  Request shifting = named(Greedy(Tokens(50, 5), 300), "f");
  shifting.context_shift = true;
  const auto shifts = KvLines([&] { Ask(shifting); });
  EXPECT_THAT(shifts, testing::Contains(HasSubstr("kv shift id=f prompt=50")));
}

TEST_F(EngineReportTest, ThePictureHasEverySequence) {
  EngineConfig config;
  config.max_sequences = 2;
  Start({0, 32}, 64, 512, config);
  Ask(Greedy(Tokens(100, 1), 4));
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Client*> all;
  for (int i = 0; i < 4; ++i) {
    Request r = Greedy(Tokens(100, static_cast<uint64_t>(1 + i)), 50);
    r.id = "r" + std::to_string(i);
    clients.push_back(Send(r));
    all.push_back(clients.back().get());
  }
  for (int i = 0; i < 5; ++i) Step();
  clock_.now_us += 7000;
  EngineSnapshot picture;
  engine_->InspectKv([&](EngineSnapshot s) { picture = std::move(s); });
  EXPECT_TRUE(picture.kv.stats.groups.empty());
  Step();
  ASSERT_EQ(picture.kv.stats.groups.size(), 2u);
  EXPECT_EQ(picture.block_bytes.size(), 2u);
  ASSERT_EQ(picture.sequences.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    const SequenceInfo& s = picture.sequences[i];
    EXPECT_EQ(s.id, "r" + std::to_string(i));
    EXPECT_EQ(s.status, i < 2 ? SequenceStatus::kRunning : SequenceStatus::kWaiting);
    EXPECT_EQ(s.prompt_tokens, 100);
    EXPECT_EQ(s.cached_tokens, i == 0 ? 96 : 0);
    EXPECT_EQ(s.age_ms, 7);
    EXPECT_EQ(s.max_answer_tokens, 50);
    EXPECT_EQ(s.tokens, 100 + s.answer_tokens);
    EXPECT_EQ(s.blocks.size(), 2u);
    EXPECT_EQ(s.blocks[0] > 0, i < 2);
    EXPECT_LE(s.blocks[1], s.blocks[0]);
  }
  EXPECT_EQ(picture.sequences[0].computed, picture.sequences[0].tokens - 1);
  int64_t used = 0;
  for (const SequenceInfo& s : picture.sequences) used += s.blocks[0];
  EXPECT_EQ(picture.kv.stats.groups[0].used, used);
  // Of the map, too: those two hold different blocks.
  ASSERT_EQ(picture.maps.size(), 2u);
  std::map<int, int> cells;
  for (const auto& [state, count] : picture.maps[0].runs) cells[state] += count;
  EXPECT_EQ(cells[BlockMap::kFree], picture.kv.stats.groups[0].free);
  EXPECT_EQ(cells[BlockMap::kCached], picture.kv.stats.groups[0].cached);
  for (int i : {0, 1}) {
    EXPECT_EQ(cells[BlockMap::kFirstOwner + i], picture.sequences[static_cast<size_t>(i)].blocks[0]);
  }
  RunAll(all);
  engine_->StopAccepting();
  picture.kv.stats.groups.resize(1);
  engine_->InspectKv([&](EngineSnapshot s) { picture = std::move(s); });
  EXPECT_TRUE(picture.kv.stats.groups.empty());  // nobody to ask any more
}

}  // namespace
}  // namespace lb

// Proves the engine among threads (run it under the thread sanitizer): clients that come, read, lag
// and leave at once; an idle engine that sleeps; a stop that drains and then ends every stream.
#include "engine/engine_thread.h"

#include <gtest/gtest.h>
#include <time.h>

#include <condition_variable>
#include <random>

#include "base/log.h"
#include "tests/engine/fake_runner.h"

namespace lb {
namespace {

constexpr int64_t kLimit = 300;

class EngineThreadTest : public testing::Test {
 protected:
  EngineThreadTest() { SetLogVerbosity(0); }
  void Start(int blocks, EngineConfig config = {}) {
    config.kv_groups = {{0, blocks}};
    config.max_request_tokens = kLimit;
    auto runner = std::make_unique<test::FakeRunner>(std::vector<int>{0}, std::vector<int>{blocks});
    runner_ = runner.get();
    auto engine = Engine::Create(config, std::move(runner), &clock_);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    engine_ = std::move(*engine);
    thread_ = std::make_unique<EngineThread>(engine_.get(), &clock_);
  }
  static Request Ask(int n, int seed, int64_t max_tokens) {
    Request r;
    r.id = "t";
    std::mt19937 rng(static_cast<unsigned>(seed));
    for (int i = 0; i < n; ++i) r.prompt.push_back(static_cast<TokenId>(rng() % test::kVocab));
    r.max_tokens = max_tokens;
    r.sampling.temperature = 1.0f;
    r.sampling.seed = static_cast<uint64_t>(seed);
    return r;
  }
  static std::vector<TokenId> ReadAll(TokenStream& stream, TokenEvent* last = nullptr) {
    std::vector<TokenId> tokens;
    while (true) {
      for (TokenEvent& e : stream.Wait()) {
        if (e.kind == TokenEvent::Kind::kToken) tokens.push_back(e.token);
        if (!e.last()) continue;
        if (last != nullptr) *last = std::move(e);
        return tokens;
      }
    }
  }

  SteadyClock clock_;
  test::FakeRunner* runner_ = nullptr;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<EngineThread> thread_;
};

TEST_F(EngineThreadTest, ManyClientsAtOnceGetTheirOwnAnswers) {
  EngineConfig config;
  config.stream_capacity = 8;
  config.max_sequences = 6;
  Start(40, config);
  std::atomic<int> wrong{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 8; ++c) {
    clients.emplace_back([&, c] {
      std::mt19937 rng(static_cast<unsigned>(c));
      for (int i = 0; i < 12; ++i) {
        const Request r = Ask(1 + static_cast<int>(rng() % 200), static_cast<int>(rng() % 4), 40);
        auto stream = engine_->Submit(r);
        if (!stream.has_value()) {
          ++wrong;
          continue;
        }
        if (rng() % 4 == 0) {
          (*stream)->Take();
          continue;  // gone
        }
        static_cast<void>(engine_->Stats());
        if (ReadAll(**stream) != test::AnswerAlone(r, {0}, kLimit).tokens) ++wrong;
      }
    });
  }
  for (auto& t : clients) t.join();
  EXPECT_EQ(wrong, 0);
  thread_->Stop(5000);
  const EngineStats s = engine_->Stats();
  EXPECT_EQ(s.used_blocks, 0);
  EXPECT_EQ(s.free_blocks + s.cached_blocks, s.pool_blocks);
  EXPECT_EQ(s.finished_length + s.finished_stop + s.cancelled, 96);
  EXPECT_TRUE(engine_->kv().CheckInvariants().has_value());
}

TEST_F(EngineThreadTest, WakesAReaderThatDoesNotWait) {
  Start(40);
  auto stream = engine_->Submit(Ask(20, 1, 30));
  ASSERT_TRUE(stream.has_value());
  std::mutex mutex;
  std::condition_variable woken;
  int wakes = 0;
  (*stream)->OnReady([&] {
    std::lock_guard lock(mutex);
    ++wakes;
    woken.notify_all();
  });
  std::vector<TokenId> tokens;
  for (bool ended = false; !ended;) {
    {
      std::unique_lock lock(mutex);
      ASSERT_TRUE(woken.wait_for(lock, std::chrono::seconds(60), [&] { return wakes > 0; }));
      wakes = 0;
    }
    for (const TokenEvent& e : (*stream)->Take()) {
      if (e.kind == TokenEvent::Kind::kToken) tokens.push_back(e.token);
      ended |= e.last();
    }
  }
  EXPECT_EQ(tokens, test::AnswerAlone(Ask(20, 1, 30), {0}, kLimit).tokens);
}

TEST_F(EngineThreadTest, StopDrainsWhatItCan) {
  Start(40);
  std::vector<std::unique_ptr<TokenStream>> streams;
  for (int i = 0; i < 4; ++i) streams.push_back(std::move(*engine_->Submit(Ask(50, i, 20))));
  thread_->Stop(60'000);
  for (auto& stream : streams) {
    TokenEvent last;
    EXPECT_EQ(ReadAll(*stream, &last).size(), 20u);
    EXPECT_EQ(last.kind, TokenEvent::Kind::kFinished);
  }
  EXPECT_EQ(engine_->Submit(Ask(5, 1, 1)).error().code, ErrorCode::kUnavailable);
}

TEST_F(EngineThreadTest, StopEndsWhatItCannotDrain) {
  EngineConfig config;
  config.stream_capacity = 2;  // nobody reads, so nothing can finish
  Start(40, config);
  std::vector<std::unique_ptr<TokenStream>> streams;
  for (int i = 0; i < 4; ++i) streams.push_back(std::move(*engine_->Submit(Ask(50, i, 200))));
  thread_->Stop(50);
  for (auto& stream : streams) {
    TokenEvent last;
    ReadAll(*stream, &last);
    EXPECT_EQ(last.kind, TokenEvent::Kind::kFailed);
    EXPECT_EQ(last.error.code, ErrorCode::kUnavailable);
  }
  thread_.reset();
  engine_.reset();  // streams outlive it
  streams.clear();
}

TEST_F(EngineThreadTest, AnIdleEngineUsesNoProcessor) {
  Start(40);
  ReadAll(**engine_->Submit(Ask(50, 1, 5)));
  timespec before, after;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const double used = static_cast<double>(after.tv_sec - before.tv_sec) +
                      static_cast<double>(after.tv_nsec - before.tv_nsec) * 1e-9;
  EXPECT_LT(used, 0.05);
}

TEST_F(EngineThreadTest, APictureOfTheCacheComesBetweenSteps) {
  Start(40);
  ReadAll(**engine_->Submit(Ask(100, 1, 5)));
  std::mutex mutex;
  std::condition_variable came;
  std::optional<EngineSnapshot> picture;
  engine_->InspectKv([&](EngineSnapshot s) {
    std::lock_guard lock(mutex);
    picture = std::move(s);
    came.notify_all();
  });
  std::unique_lock lock(mutex);
  ASSERT_TRUE(came.wait_for(lock, std::chrono::seconds(60), [&] { return picture.has_value(); }));
  ASSERT_EQ(picture->kv.runs.size(), 1u);
  EXPECT_EQ(picture->kv.runs[0].num_tokens, 96);
}

}  // namespace
}  // namespace lb

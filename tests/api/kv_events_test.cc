// Proves that GET /kv/events tells the counters each time, asks for a picture only when they have
// changed, that watchers share pictures, and that a stream ends as it should.
#include "api/kv_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace lb::api {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

// Keeps who asked, until the test answers.
class AskedEngine final : public EngineClient {
 public:
  Result<std::unique_ptr<TokenStream>> Submit(Request) override {
    return Error{ErrorCode::kUnavailable, "no", {}};
  }
  EngineStats Stats() const override { return stats; }
  const EngineLimits& limits() const override { return limits_; }
  void InspectKv(std::function<void(EngineSnapshot)> done) override { asked.push_back(std::move(done)); }
  void Answer(int64_t cost_us = 0) {
    EngineSnapshot snapshot;
    snapshot.kv.stats.groups = {{0, 10, 1, 2, 7}};
    snapshot.block_bytes = {1000};
    snapshot.maps = {{1, {{0, 1}, {1, 2}, {3, 7}}}};
    snapshot.cost_us = cost_us;
    for (const auto& done : std::exchange(asked, {})) done(snapshot);
  }

  EngineStats stats;
  std::vector<std::function<void(EngineSnapshot)>> asked;

 private:
  EngineLimits limits_;
};

class KvEventsTest : public testing::Test {
 protected:
  // What the stream has to say once it is time for its next event.
  static std::string Next(KvEvents& events) {
    std::this_thread::sleep_until(events.next_look());
    std::string out;
    events.Advance(&out);
    return out;
  }
  static std::string Now(KvEvents& events) {
    std::string out;
    events.Advance(&out);
    return out;
  }

  AskedEngine engine_;
  std::shared_ptr<KvFeed> feed_ = std::make_shared<KvFeed>(&engine_);
  int wakes_ = 0;
};

TEST_F(KvEventsTest, PicturesComeOnlyWhenSomethingChanged) {
  KvEvents events(feed_, {milliseconds(1), 0});
  events.OnReady([&] { ++wakes_; });
  const std::string first = Next(events);
  EXPECT_THAT(first, HasSubstr("event: stats\ndata: {\"time_ms\":"));
  EXPECT_THAT(first, Not(HasSubstr("event: kv")));
  ASSERT_EQ(engine_.asked.size(), 1u);
  Next(events);
  EXPECT_EQ(engine_.asked.size(), 1u);  // one at a time
  engine_.Answer();
  EXPECT_EQ(wakes_, 1);
  const std::string picture = Now(events);
  EXPECT_THAT(picture, HasSubstr("event: kv\ndata: {\"block_tokens\":16"));
  EXPECT_THAT(picture, HasSubstr("\"map\":{\"blocks_per_cell\":1,\"runs\":[0,1,1,2,3,7]}"));
  for (int i = 0; i < 3; ++i) EXPECT_THAT(Next(events), HasSubstr("event: stats"));
  EXPECT_TRUE(engine_.asked.empty());  // nothing changed
  engine_.stats.steps = 1;
  Next(events);
  EXPECT_EQ(engine_.asked.size(), 1u);
}

TEST_F(KvEventsTest, ACostlyPictureIsFollowedByALongerPause) {
  KvEvents events(feed_, {milliseconds(1), 0});
  Next(events);
  engine_.Answer(3'600'000'000);  // an hour of the engine's time
  Now(events);
  engine_.stats.steps = 1;
  for (int i = 0; i < 3; ++i) EXPECT_THAT(Next(events), HasSubstr("event: stats"));
  EXPECT_TRUE(engine_.asked.empty());
}

TEST_F(KvEventsTest, WatchersShareAPicture) {
  KvEvents one(feed_, {milliseconds(60'000), 0}), two(feed_, {milliseconds(60'000), 0}),
      three(feed_, {milliseconds(60'000), 0});
  Next(one);
  Next(two);
  EXPECT_EQ(engine_.asked.size(), 1u);
  engine_.Answer();
  EXPECT_THAT(Now(one), HasSubstr("event: kv"));
  EXPECT_THAT(Now(two), HasSubstr("event: kv"));
  Next(three);  // the one that was just made
  EXPECT_TRUE(engine_.asked.empty());
  EXPECT_THAT(Now(three), HasSubstr("event: kv"));
}

TEST_F(KvEventsTest, EndsAfterTheEventsAskedForAndTheirPicture) {
  KvEvents events(feed_, {milliseconds(1), 2});
  EXPECT_FALSE(events.endless());
  Next(events);
  std::string out;
  std::this_thread::sleep_until(events.next_look());
  EXPECT_FALSE(events.Advance(&out));  // the picture is still to come
  engine_.Answer();
  out.clear();
  EXPECT_TRUE(events.Advance(&out));
  EXPECT_THAT(out, HasSubstr("event: kv"));
}

TEST_F(KvEventsTest, AStoppingServerEndsIt) {
  KvEvents events(feed_, {});
  EXPECT_TRUE(events.endless());
  Next(events);
  events.Fail(Error{ErrorCode::kUnavailable, "the server is shutting down", {}});
  std::string out;
  EXPECT_TRUE(events.Advance(&out));
  EXPECT_THAT(out, HasSubstr("event: error"));
  EXPECT_THAT(out, HasSubstr("shutting down"));
}

TEST_F(KvEventsTest, TheWatcherMayLeaveBeforeTheEngineAnswers) {
  auto events = std::make_unique<KvEvents>(feed_, KvEventOptions{});
  events->OnReady([&] { ++wakes_; });
  Next(*events);
  events.reset();
  engine_.Answer();
  EXPECT_EQ(wakes_, 1);  // a session's wake-up knows that nobody is there
  feed_.reset();
}

TEST(KvEventOptionsTest, AreReadFromTheQueryOrRefused) {
  const auto options = ParseKvEventOptions("x=1&interval_ms=250&events=3");
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->interval, milliseconds(250));
  EXPECT_EQ(options->max_events, 3);
  EXPECT_EQ(ParseKvEventOptions("")->interval, milliseconds(500));
  for (const char* query : {"interval_ms=99", "interval_ms=60001", "interval_ms=1e3", "interval_ms=",
                            "events=-1", "events=1000001", "events"}) {
    const auto refused = ParseKvEventOptions(query);
    ASSERT_FALSE(refused.has_value()) << query;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(refused.error().message, HasSubstr("must be a number from"));
  }
}

}  // namespace
}  // namespace lb::api

// GET /kv/events: the cache as it changes, as server-sent events.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/pending_reply.h"
#include "base/result.h"
#include "engine/engine_client.h"

namespace lb::api {

// Pictures of the cache, taken for as many as look: those that ask within a short time share one.
// Does nothing unless asked. Thread-safe; the engine outlives it.
class KvFeed : public std::enable_shared_from_this<KvFeed> {
 public:
  using Clock = std::chrono::steady_clock;

  explicit KvFeed(EngineClient* engine) : engine_(engine) {}

  struct Picture {
    EngineSnapshot snapshot;
    Clock::time_point taken;
    // KvReport with the maps; written once, by whoever needs it first.
    const std::string& Json(const EngineLimits& limits) const;

   private:
    mutable std::once_flag once_;
    mutable std::string json_;
  };
  using Done = std::function<void(std::shared_ptr<const Picture>)>;

  // `done` gets a picture no older than `max_age`: at once, or on the engine thread between two
  // steps, so it must not block. Null when there is no engine to ask any more.
  void Ask(std::chrono::milliseconds max_age, Done done);
  EngineStats Stats() const { return engine_->Stats(); }
  const EngineLimits& limits() const { return engine_->limits(); }

 private:
  void Take(EngineSnapshot snapshot);

  EngineClient* engine_;
  std::mutex mutex_;
  std::shared_ptr<const Picture> last_;
  std::vector<Done> waiting_;
};

struct KvEventOptions {
  std::chrono::milliseconds interval{500};
  int64_t max_events = 0;  // `stats` events, then it ends; 0: never
};

// From the query of a URL: interval_ms=100..60000, events=0..1000000.
Result<KvEventOptions> ParseKvEventOptions(std::string_view query);

// Each interval an event `stats` (the engine's counters, which cost it nothing), and when they have
// changed an event `kv` (GET /kv with a map of the blocks). The engine spends at most a half per cent
// of its time on pictures: after a costly one the next waits longer.
class KvEvents final : public PendingReply {
 public:
  using Clock = KvFeed::Clock;
  KvEvents(std::shared_ptr<KvFeed> feed, KvEventOptions options);

  bool streamed() const override { return true; }
  std::string_view content_type() const override { return "text/event-stream"; }
  std::string_view filler() const override { return ": waiting\n\n"; }
  void OnReady(const std::function<void()>& wake) override { wake_ = wake; }
  Clock::time_point next_look() const override {
    return all_told() ? Clock::time_point::max() : next_event_;
  }
  bool endless() const override { return options_.max_events == 0; }
  bool Advance(std::string* out) override;
  void Fail(Error error) override { error_ = std::move(error); }
  const std::optional<Error>& error() const override { return error_; }
  bool started() const override { return num_events_ > 0; }
  std::string Body() const override { return {}; }

 private:
  // Where the engine thread leaves a picture; it may outlive this object.
  struct Slot {
    std::mutex mutex;
    std::shared_ptr<const KvFeed::Picture> picture;
    bool answered = false;
  };
  // Only a picture may be left to come.
  bool all_told() const {
    return options_.max_events > 0 && num_events_ >= options_.max_events;
  }
  void AskForPicture();
  void AppendPicture(std::string* out);

  const std::shared_ptr<KvFeed> feed_;
  const KvEventOptions options_;
  std::function<void()> wake_;
  std::shared_ptr<Slot> slot_;  // null: nothing is awaited
  Clock::time_point next_event_, next_picture_;
  std::string shown_;  // the counters that the last picture went with
  int64_t num_events_ = 0;
  std::optional<Error> error_;
};

}  // namespace lb::api

#include "api/kv_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "api/errors.h"
#include "api/json_reader.h"
#include "api/json_writer.h"
#include "api/kv_report.h"

namespace lb::api {
namespace {

// Of the engine's time, one part in so many may go into pictures.
constexpr int kCostShare = 200;

// A histogram as its count and sum: a reader takes means between two events.
void WriteTimes(std::string_view key, const Histogram& times, JsonWriter* w) {
  w->Key(key).BeginObject().Key("count").Int(times.count());
  w->Key("seconds").Double(times.sum).EndObject();
}

std::string StatsJson(const EngineStats& s) {
  JsonWriter w;
  w.BeginObject();
  w.Key("blocks").BeginObject();
  w.Key("total").Int(s.pool_blocks).Key("free").Int(s.free_blocks);
  w.Key("cached").Int(s.cached_blocks).Key("used").Int(s.used_blocks).EndObject();
  w.Key("host").BeginObject();
  w.Key("total").Int(s.host.slots).Key("free").Int(s.host.free).Key("kept").Int(s.host.kept);
  w.Key("saved_blocks").Int(s.host.saved).Key("loaded_blocks").Int(s.host.loaded).EndObject();
  w.Key("running").Int(s.running).Key("waiting").Int(s.waiting).Key("paused").Int(s.paused);
  w.Key("steps").Int(s.steps);
  w.Key("prompt_tokens").Int(s.prompt_tokens);
  w.Key("cached_prompt_tokens").Int(s.cached_prompt_tokens);
  w.Key("computed_prompt_tokens").Int(s.computed_prompt_tokens);
  w.Key("recomputed_tokens").Int(s.recomputed_tokens);
  w.Key("generated_tokens").Int(s.generated_tokens);
  w.Key("drafted_tokens").Int(s.drafted_tokens).Key("accepted_tokens").Int(s.accepted_tokens);
  w.Key("pauses").Int(s.pauses).Key("evicted_blocks").Int(s.evictions);
  w.Key("finished").Int(s.finished_stop + s.finished_length);
  w.Key("cancelled").Int(s.cancelled).Key("failed").Int(s.failed).Key("rejected").Int(s.rejected);
  WriteTimes("first_token", s.first_token, &w);
  WriteTimes("queue", s.queue, &w);
  WriteTimes("token_gap", s.token_gap, &w);
  w.EndObject();
  return w.Take();
}

Result<void> ReadNumber(std::string_view name, std::string_view text, int64_t low, int64_t high,
                        int64_t* out) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), *out);
  if (ec != std::errc() || end != text.data() + text.size() || *out < low || *out > high) {
    return BadField(name, fmt::format("{} must be a number from {} to {}, not {}", name, low, high,
                                      text.substr(0, 40)));
  }
  return {};
}

}  // namespace

const std::string& KvFeed::Picture::Json(const EngineLimits& limits) const {
  std::call_once(once_, [&] { json_ = KvReport(snapshot, limits, true); });
  return json_;
}

void KvFeed::Ask(std::chrono::milliseconds max_age, Done done) {
  std::shared_ptr<const Picture> recent;
  {
    std::lock_guard lock(mutex_);
    if (last_ != nullptr && Clock::now() - last_->taken < max_age) {
      recent = last_;
    } else {
      waiting_.push_back(std::move(done));
      if (waiting_.size() > 1) return;  // asked already
    }
  }
  if (recent != nullptr) {
    done(std::move(recent));
    return;
  }
  // The engine may answer when no service is there any more.
  engine_->InspectKv([weak = weak_from_this()](EngineSnapshot snapshot) {
    if (const auto self = weak.lock()) self->Take(std::move(snapshot));
  });
}

void KvFeed::Take(EngineSnapshot snapshot) {
  std::shared_ptr<const Picture> picture;
  if (!snapshot.kv.stats.groups.empty()) {
    auto made = std::make_shared<Picture>();
    made->snapshot = std::move(snapshot);
    made->taken = Clock::now();
    picture = std::move(made);
  }
  std::vector<Done> waiting;
  {
    std::lock_guard lock(mutex_);
    last_ = picture;
    waiting.swap(waiting_);
  }
  for (const Done& done : waiting) done(picture);
}

Result<KvEventOptions> ParseKvEventOptions(std::string_view query) {
  KvEventOptions options;
  int64_t interval = options.interval.count();
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), one.size() + 1));
    const std::string_view name = one.substr(0, one.find('='));
    const std::string_view value = one.substr(std::min(one.size(), name.size() + 1));
    if (name == "interval_ms") {
      LB_RETURN_IF_ERROR(ReadNumber(name, value, 100, 60'000, &interval));
    } else if (name == "events") {
      LB_RETURN_IF_ERROR(ReadNumber(name, value, 0, 1'000'000, &options.max_events));
    }
  }
  options.interval = std::chrono::milliseconds(interval);
  return options;
}

KvEvents::KvEvents(std::shared_ptr<KvFeed> feed, KvEventOptions options)
    : feed_(std::move(feed)),
      options_(options),
      next_event_(Clock::now()),
      next_picture_(next_event_) {}

bool KvEvents::Advance(std::string* out) {
  const auto now = Clock::now();
  if (error_) {
    out->append("event: error\ndata: ").append(ErrorJson(*error_)).append("\n\n");
    return true;
  }
  AppendPicture(out);
  if (!all_told() && now >= next_event_) {
    const std::string stats = StatsJson(feed_->Stats());
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
    fmt::format_to(std::back_inserter(*out), "event: stats\ndata: {{\"time_ms\":{},{}\n\n", ms.count(),
                   std::string_view(stats).substr(1));
    ++num_events_;
    next_event_ = now + options_.interval;
    if (stats != shown_ && slot_ == nullptr && now >= next_picture_) {
      shown_ = stats;
      AskForPicture();
    }
  }
  return all_told() && slot_ == nullptr;
}

void KvEvents::AskForPicture() {
  slot_ = std::make_shared<Slot>();
  feed_->Ask(options_.interval / 2, [slot = slot_, wake = wake_](auto picture) {
    {
      std::lock_guard lock(slot->mutex);
      slot->picture = std::move(picture);
      slot->answered = true;
    }
    if (wake) wake();
  });
}

void KvEvents::AppendPicture(std::string* out) {
  if (slot_ == nullptr) return;
  std::shared_ptr<const KvFeed::Picture> picture;
  {
    std::lock_guard lock(slot_->mutex);
    if (!slot_->answered) return;
    picture = std::move(slot_->picture);
  }
  slot_ = nullptr;
  if (picture == nullptr) {
    error_ = Error{ErrorCode::kUnavailable, "the server is stopping", {}};
    return;
  }
  out->append("event: kv\ndata: ").append(picture->Json(feed_->limits())).append("\n\n");
  const auto cost = std::chrono::microseconds(picture->snapshot.cost_us * kCostShare);
  next_picture_ = Clock::now() + std::max<Clock::duration>(options_.interval / 2, cost);
}

}  // namespace lb::api

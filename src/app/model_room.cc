// ModelHub, the part about memory: what a model takes, and who goes when there is not enough.
#include <algorithm>

#include "app/model_hub.h"
#include "base/log.h"
#include "base/system_memory.h"

namespace lb::app {
namespace {

double MiB(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// Activations, logits, vocabulary, threads: what is neither weights nor cache.
constexpr int64_t kBeside = int64_t{64} << 20;
// A cache of fewer tokens is worth an unloading of somebody else.
constexpr int64_t kFairTokens = 8192;

}  // namespace

Result<ModelHub::Room> ModelHub::PlanRoom(const Entry& entry, int64_t left, bool last_chance) const {
  const ModelConfig& model = entry.model.config;
  Room room;
  room.bytes = entry.model.card.size_bytes + kBeside;
  const auto refuse = [&](const std::string& why) {
    return Fail(ErrorCode::kOutOfMemory,
                "its weights and what a step takes are {:.0f} MiB, {:.0f} MiB of --models-memory's "
                "{:.0f} MiB are free{}",
                MiB(room.bytes), MiB(left), MiB(config_.memory_bytes), why);
  };
  if (room.bytes > left) return refuse("");
  if (!model.generates) return room;
  KvSizing sizing;
  sizing.ctx_size = flags_.ctx_size;
  LB_ASSIGN_OR_RETURN(sizing.dtypes, KvTypesOf(flags_));
  LB_ASSIGN_OR_RETURN(sizing.memory_bytes, ParseMemorySize("--kv-memory", flags_.kv_memory));
  sizing.available_bytes = left - room.bytes;
  if (sizing.available_bytes < 1) return refuse("");
  const auto plan = PlanKv(model, sizing);
  if (!plan.has_value()) return refuse("; " + plan.error().message);
  const bool chosen = sizing.ctx_size > 0 || sizing.memory_bytes > 0;
  const int64_t fair = std::min<int64_t>(kFairTokens, model.context_length);
  if (!chosen && !last_chance && plan->pool_tokens < fair) {
    return refuse(fmt::format("; that leaves {} tokens of cache", plan->pool_tokens));
  }
  if (!chosen) room.kv_bytes = plan->pool_bytes;
  room.bytes += plan->pool_bytes;
  return room;
}

ModelHub::Entry* ModelHub::LeastRecentlyUsed() {
  Entry* found = nullptr;
  for (const auto& entry : entries_) {
    if (entry->loaded == nullptr || entry->leaves) continue;
    if (found != nullptr) {
      const bool busy = entry->leases > entry->watchers, found_busy = found->leases > found->watchers;
      if (busy != found_busy ? busy : entry->last_use >= found->last_use) continue;
    }
    found = entry.get();
  }
  return found;
}

Result<ModelHub::Making> ModelHub::MakeRoom(Entry* entry, Room* room) {
  if (!config_.many) return Making::kRoom;
  int64_t used = 0;
  int num_loaded = 0;
  bool leaving = false;
  for (const auto& other : entries_) {
    used += other->bytes;
    num_loaded += other->loaded != nullptr;
    leaving |= other->loaded != nullptr && other->leaves;
  }
  const bool places = config_.most_models == 0 || num_loaded < config_.most_models;
  if (places) {
    const auto plan = PlanRoom(*entry, config_.memory_bytes - used, num_loaded == 0);
    if (plan.has_value()) {
      *room = *plan;
      return Making::kRoom;
    }
    if (num_loaded == 0) return plan.error();
  }
  // One at a time: it may be enough.
  if (leaving) return Making::kLater;
  Entry* victim = LeastRecentlyUsed();
  CHECK(victim != nullptr);
  LogVerbose(1, "{} makes room for {}", victim->model.name, entry->model.name);
  victim->leaves = true;
  changed_.notify_all();
  return Making::kLater;
}

}  // namespace lb::app

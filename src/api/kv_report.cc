#include "api/kv_report.h"

#include <vector>

#include "api/json_writer.h"

namespace lb::api {
namespace {

std::string_view StatusName(SequenceStatus status) {
  switch (status) {
    case SequenceStatus::kWaiting:
      return "waiting";
    case SequenceStatus::kRunning:
      return "running";
    case SequenceStatus::kPaused:
      return "paused";
    case SequenceStatus::kFinished:
      break;
  }
  return "finished";
}

// As a list of state, count, state, count ...
void WriteMap(const BlockMap& map, JsonWriter* w) {
  w->Key("map").BeginObject().Key("blocks_per_cell").Int(map.blocks_per_cell);
  w->Key("runs").BeginArray();
  for (const auto& [state, count] : map.runs) w->Int(state).Int(count);
  w->EndArray().EndObject();
}

void WriteGroups(const EngineSnapshot& snapshot, bool maps, JsonWriter* w) {
  w->Key("groups").BeginArray();
  for (size_t g = 0; g < snapshot.kv.stats.groups.size(); ++g) {
    const kv::GroupStats& group = snapshot.kv.stats.groups[g];
    w->BeginObject();
    w->Key("window").Int(group.window);
    w->Key("blocks").BeginObject();
    w->Key("total").Int(group.total).Key("free").Int(group.free);
    w->Key("cached").Int(group.cached).Key("used").Int(group.used).EndObject();
    w->Key("bytes_per_block").Int(snapshot.block_bytes[g]);
    w->Key("bytes").Int(group.total * snapshot.block_bytes[g]);
    if (maps) WriteMap(snapshot.maps[g], w);
    w->EndObject();
  }
  w->EndArray();
}

void WriteHost(const EngineSnapshot& snapshot, JsonWriter* w) {
  const kv::HostStats& host = snapshot.kv.stats.host;
  int64_t slot_bytes = 0;
  for (const int64_t bytes : snapshot.block_bytes) slot_bytes += bytes;
  w->Key("host").BeginObject();
  w->Key("total").Int(host.slots).Key("free").Int(host.free).Key("kept").Int(host.kept);
  w->Key("bytes").Int(host.slots * slot_bytes);
  w->Key("saved_blocks").Int(host.saved).Key("loaded_blocks").Int(host.loaded);
  w->Key("evicted_blocks").Int(host.evictions).EndObject();
}

void WriteSequences(const EngineSnapshot& snapshot, JsonWriter* w) {
  w->Key("sequences").BeginArray();
  for (const SequenceInfo& s : snapshot.sequences) {
    w->BeginObject();
    w->Key("id").String(s.id).Key("status").String(StatusName(s.status));
    w->Key("prompt_tokens").Int(s.prompt_tokens).Key("cached_tokens").Int(s.cached_tokens);
    w->Key("answer_tokens").Int(s.answer_tokens);
    w->Key("max_answer_tokens").Int(s.max_answer_tokens);
    w->Key("tokens").Int(s.tokens).Key("computed").Int(s.computed);
    w->Key("blocks").BeginArray();
    for (const int blocks : s.blocks) w->Int(blocks);
    w->EndArray();
    w->Key("pauses").Int(s.pauses).Key("age_ms").Int(s.age_ms);
    w->EndObject();
  }
  w->EndArray();
  w->Key("sequences_left_out").Int(snapshot.sequences_left_out);
}

void WriteTree(const kv::KvSnapshot& kv, int block_tokens, JsonWriter* w) {
  std::vector<std::vector<int>> children(kv.runs.size());
  for (const kv::KvRun& run : kv.runs) {
    if (run.parent >= 0) children[static_cast<size_t>(run.parent)].push_back(run.id);
  }
  w->Key("tree").BeginObject();
  w->Key("blocks").Int(kv.stats.nodes);
  w->Key("tokens").Int(kv.stats.nodes * block_tokens);
  w->Key("evicted_blocks").Int(kv.stats.evictions);
  w->Key("nodes").BeginArray();
  for (const kv::KvRun& run : kv.runs) {
    w->BeginObject();
    w->Key("id").Int(run.id).Key("parent");
    run.parent < 0 ? w->Null() : w->Int(run.parent);
    w->Key("start").Int(run.start_token).Key("tokens").Int(run.num_tokens);
    w->Key("tokens_with_windows").Int(run.window_tokens);
    w->Key("tokens_on_host").Int(run.host_tokens);
    w->Key("sequences").Int(run.sequences);
    w->Key("hits").Int(run.hits).Key("idle_ms").Int(run.idle_ms);
    w->Key("children").BeginArray();
    for (const int child : children[static_cast<size_t>(run.id)]) w->Int(child);
    w->EndArray().EndObject();
  }
  w->EndArray();
  w->Key("nodes_left_out").Int(kv.runs_left_out).EndObject();
}

}  // namespace

std::string KvReport(const EngineSnapshot& snapshot, const EngineLimits& limits, bool maps) {
  JsonWriter w;
  w.BeginObject();
  w.Key("block_tokens").Int(snapshot.block_tokens);
  w.Key("pool_tokens").Int(limits.pool_tokens);
  w.Key("max_request_tokens").Int(limits.max_request_tokens);
  WriteGroups(snapshot, maps, &w);
  WriteHost(snapshot, &w);
  WriteSequences(snapshot, &w);
  WriteTree(snapshot.kv, snapshot.block_tokens, &w);
  if (maps) w.Key("picture_us").Int(snapshot.cost_us);
  w.EndObject();
  return w.Take();
}

}  // namespace lb::api

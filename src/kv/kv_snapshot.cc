// The manager's numbers and its picture of the tree.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "kv/kv_cache_manager.h"

namespace lb::kv {

std::string KvStats::ToString() const {
  std::string out;
  for (const GroupStats& g : groups) {
    if (!out.empty()) out += "; ";
    if (g.window > 0) out += fmt::format("window={} ", g.window);
    out += fmt::format("free={} cached={} used={} of {}", g.free, g.cached, g.used, g.total);
  }
  if (host.slots > 0) {
    out += fmt::format("; host free={} kept={} of {} saved={} loaded={}", host.free, host.kept, host.slots, host.saved, host.loaded);
  }
  return out;
}

HostStats KvCacheManager::host_stats() const {
  return {host_.size(), host_.num_free(), host_.num_cached(), saved_, loaded_, host_evictions_};
}

KvStats KvCacheManager::Stats() const {
  KvStats stats;
  for (int g = 0; g < num_groups(); ++g) {
    stats.groups.push_back({config_.groups[static_cast<size_t>(g)].window, pool(g).size(),
                            pool(g).num_free(), pool(g).num_cached(), pool(g).num_used()});
  }
  stats.host = host_stats();
  stats.nodes = tree_.num_nodes();
  stats.evictions = evictions_;
  return stats;
}

namespace {

// Keeps the `max_runs` runs whose subtrees were used last. A run's subtree holds its descendants',
// so nobody loses a parent.
void KeepRecent(size_t max_runs, KvSnapshot& snapshot) {
  std::vector<KvRun>& runs = snapshot.runs;
  std::vector<int64_t> idle;  // of the whole subtree
  for (const KvRun& run : runs) idle.push_back(run.idle_ms);
  for (size_t i = runs.size(); i-- > 0;) {
    if (runs[i].parent < 0) continue;
    int64_t& above = idle[static_cast<size_t>(runs[i].parent)];
    above = std::min(above, idle[i]);
  }
  std::vector<int> order(runs.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](int i) { return idle[static_cast<size_t>(i)]; });
  snapshot.runs_left_out = static_cast<int64_t>(order.size() - std::min(order.size(), max_runs));
  order.resize(std::min(order.size(), max_runs));
  std::vector<KvRun> kept;
  std::vector<int> place(runs.size(), -1);
  for (int i : order) {
    KvRun run = runs[static_cast<size_t>(i)];
    place[static_cast<size_t>(i)] = run.id = static_cast<int>(kept.size());
    if (run.parent >= 0) run.parent = place[static_cast<size_t>(run.parent)];
    kept.push_back(run);
  }
  runs = std::move(kept);
}

}  // namespace

KvSnapshot KvCacheManager::Snapshot(int max_runs) const {
  KvSnapshot snapshot;
  snapshot.stats = Stats();
  std::vector<NodeId> order;
  for (int i = 0; i < tree_.id_limit(); ++i) {
    if (tree_.node(NodeId(i)).live) order.push_back(NodeId(i));
  }
  std::ranges::stable_sort(order, {}, [&](NodeId id) { return tree_.node(id).depth; });
  std::vector<int> run_of(static_cast<size_t>(tree_.id_limit()), -1);
  for (NodeId id : order) {
    const PrefixTree::Node& n = tree_.node(id);
    const int above = n.parent == kNoNode ? -1 : run_of[static_cast<size_t>(n.parent.value)];
    // A run goes on while the tokens do and the same sequences hold it.
    const bool joins =
        above >= 0 && tree_.node(n.parent).num_children == 1 && tree_.node(n.parent).refs == n.refs;
    int run = above;
    if (!joins) {
      run = static_cast<int>(snapshot.runs.size());
      snapshot.runs.push_back({run, above, n.ns, int64_t{n.depth} * kBlockTokens, 0, 0, n.refs,
                               n.hits, now_ms_ - n.last_use_ms, 0});
    }
    run_of[static_cast<size_t>(id.value)] = run;
    KvRun& r = snapshot.runs[static_cast<size_t>(run)];
    r.num_tokens += kBlockTokens;
    const bool on_host = n.slot != kNoBlock;
    if (on_host) r.host_tokens += kBlockTokens;
    const bool whole = std::all_of(n.blocks.begin(), n.blocks.begin() + num_groups(),
                                   [](BlockId b) { return b != kNoBlock; });
    if (whole || on_host) r.window_tokens += kBlockTokens;
  }
  KeepRecent(static_cast<size_t>(max_runs), snapshot);
  return snapshot;
}

}  // namespace lb::kv

// The manager's recount of everything against everything.
#include <map>
#include <string>

#include "kv/kv_cache_manager.h"

namespace lb::kv {
namespace {

#define LB_REQUIRE(condition, ...)                                           \
  do {                                                                       \
    if (!(condition)) return Fail(ErrorCode::kInternal, "kv: " __VA_ARGS__); \
  } while (false)

// Counts and the cached order of one pool, from its blocks alone.
Result<void> CheckPool(const BlockPool& pool, const std::string& name) {
  std::vector<bool> is_free(static_cast<size_t>(pool.size()), false);
  for (BlockId b : pool.free_blocks()) {
    LB_REQUIRE(!is_free[static_cast<size_t>(b.value)], "{}: block {} is free twice", name,
               b.value);
    is_free[static_cast<size_t>(b.value)] = true;
  }
  int used = 0, cached = 0;
  for (int i = 0; i < pool.size(); ++i) {
    const BlockId b(i);
    const bool owned = pool.owner(b) != kNoNode;
    LB_REQUIRE(!is_free[static_cast<size_t>(i)] || (pool.refs(b) == 0 && !owned),
               "{}: free block {} has {} references", name, i, pool.refs(b));
    LB_REQUIRE(is_free[static_cast<size_t>(i)] || pool.refs(b) > 0 || owned,
               "{}: block {} is held by nobody and not free", name, i);
    used += pool.refs(b) > 0;
    cached += pool.refs(b) == 0 && owned;
  }
  LB_REQUIRE(used == pool.num_used() && cached == pool.num_cached(),
             "{}: {} used and {} cached, counted {} and {}", name, pool.num_used(),
             pool.num_cached(), used, cached);
  LB_REQUIRE(pool.num_free() + cached + used == pool.size(), "{}: {} + {} + {} is not {}", name,
             pool.num_free(), cached, used, pool.size());
  int listed = 0;
  for (auto b = pool.LeastRecentlyCached(); b.has_value(); b = pool.NextCached(*b)) {
    LB_REQUIRE(pool.refs(*b) == 0 && pool.owner(*b) != kNoNode,
               "{}: block {} stands among the cached", name, b->value);
    ++listed;
  }
  LB_REQUIRE(listed == cached, "{}: {} blocks in the cached order, {} cached", name, listed,
             cached);
  return {};
}

}  // namespace

Result<void> KvCacheManager::CheckInvariants() const {
  for (int g = 0; g < num_groups(); ++g) {
    LB_RETURN_IF_ERROR(CheckPool(pool(g), fmt::format("group {}", g)));
  }
  LB_RETURN_IF_ERROR(CheckPool(host_, "host"));
  LB_RETURN_IF_ERROR(CheckTables());
  LB_RETURN_IF_ERROR(CheckTree());
  return CheckHost();
}

Result<void> KvCacheManager::CheckTables() const {
  std::vector<std::vector<int>> refs;
  for (const auto& p : pools_) refs.emplace_back(static_cast<size_t>(p->size()), 0);
  std::map<uint64_t, int> pending;
  for (const SequenceKv* s : sequences_) {
    if (!s->attached_) {
      for (const BlockTable& t : s->tables_)
        LB_REQUIRE(t.size() == 0, "a released table has blocks");
      LB_REQUIRE(s->path_.empty() && s->num_computed_ == 0, "a released sequence has a path");
      continue;
    }
    for (int g = 0; g < num_groups(); ++g) {
      const BlockTable& t = s->table(g);
      LB_REQUIRE(t.size() == s->table(0).size(), "tables of {} and {} blocks", t.size(),
                 s->table(0).size());
      LB_REQUIRE(t.size() >= BlocksFor(s->num_computed_), "{} computed tokens in {} blocks",
                 s->num_computed_, t.size());
      LB_REQUIRE(t.first() <= FirstNeeded(g, s->num_computed_),
                 "group {}: block {} was dropped and is needed at {}", g, t.first() - 1,
                 s->num_computed_);
      for (int i = 0; i < t.size(); ++i) {
        LB_REQUIRE((t[i] == kNoBlock) == (i < t.first()), "group {}: hole at {}", g, i);
        if (t[i] != kNoBlock) ++refs[static_cast<size_t>(g)][static_cast<size_t>(t[i].value)];
      }
      // What the sequence and the tree both hold at one place is one and the same block.
      for (size_t i = 0; i < s->path_.size(); ++i) {
        const BlockId ours = t[static_cast<int>(i)];
        LB_REQUIRE(
            ours == kNoBlock || ours == tree_.node(s->path_[i]).blocks[static_cast<size_t>(g)],
            "group {}: table and tree differ at {}", g, i);
      }
    }
    if (s->use_cache_) {
      LB_REQUIRE(static_cast<int64_t>(s->path_.size()) == s->num_computed_ / kBlockTokens,
                 "a path of {} blocks for {} computed tokens", s->path_.size(), s->num_computed_);
    }
    for (size_t i = s->pending_begin_; i < s->pending_end_; ++i) ++pending[Hash(*s, i)];
  }
  for (int g = 0; g < num_groups(); ++g) {
    for (int i = 0; i < pool(g).size(); ++i) {
      const int counted = refs[static_cast<size_t>(g)][static_cast<size_t>(i)];
      LB_REQUIRE(counted == pool(g).refs(BlockId(i)),
                 "group {}: block {} has {} references, counted {}", g, i, pool(g).refs(BlockId(i)),
                 counted);
    }
  }
  LB_REQUIRE(pending == (std::map<uint64_t, int>(pending_.begin(), pending_.end())),
             "announced blocks are miscounted");
  return {};
}

Result<void> KvCacheManager::CheckTree() const {
  std::vector<int> children(static_cast<size_t>(tree_.id_limit()), 0);
  std::vector<int> refs(children.size(), 0);
  std::vector<int> owned(static_cast<size_t>(num_groups()), 0);
  for (const SequenceKv* s : sequences_) {
    for (size_t i = 0; i < s->path_.size(); ++i) {
      const PrefixTree::Node& n = tree_.node(s->path_[i]);
      LB_REQUIRE(n.live && n.parent == (i == 0 ? kNoNode : s->path_[i - 1]) && n.ns == s->ns_,
                 "a path that the tree does not have");
      ++refs[static_cast<size_t>(s->path_[i].value)];
    }
  }
  int live = 0;
  for (int i = 0; i < tree_.id_limit(); ++i) {
    const PrefixTree::Node& n = tree_.node(NodeId(i));
    if (!n.live) continue;
    ++live;
    if (n.parent != kNoNode) {
      LB_REQUIRE(tree_.node(n.parent).live, "node {} has a dead parent", i);
      ++children[static_cast<size_t>(n.parent.value)];
    }
    LB_REQUIRE(tree_.Find(n.parent, n.ns, n.hash, n.tokens) == NodeId(i), "node {} is not found",
               i);
    for (int g = 0; g < num_groups(); ++g) {
      const BlockId b = n.blocks[static_cast<size_t>(g)];
      LB_REQUIRE(n.slot == kNoBlock ? b != kNoBlock || IsWindow(g) : b == kNoBlock, "node {} has {} in group {} and slot {}", i, b.value,
                 g, n.slot.value);
      const bool in_slot = n.in_slot[static_cast<size_t>(g)];
      LB_REQUIRE(n.slot == kNoBlock ? !in_slot : in_slot || IsWindow(g), "node {}: slot {} has group {}: {}", i, n.slot.value, g, in_slot);
      if (b == kNoBlock) continue;
      LB_REQUIRE(pool(g).owner(b) == NodeId(i), "block {} is node {}'s and not node {}'s", b.value,
                 pool(g).owner(b).value, i);
      ++owned[static_cast<size_t>(g)];
    }
  }
  LB_REQUIRE(live == tree_.num_nodes(), "{} nodes, counted {}", tree_.num_nodes(), live);
  for (int i = 0; i < tree_.id_limit(); ++i) {
    const PrefixTree::Node& n = tree_.node(NodeId(i));
    if (!n.live) continue;
    LB_REQUIRE(n.num_children == children[static_cast<size_t>(i)], "node {} has {} children", i,
               children[static_cast<size_t>(i)]);
    LB_REQUIRE(n.refs == refs[static_cast<size_t>(i)], "node {} has {} references, counted {}", i,
               n.refs, refs[static_cast<size_t>(i)]);
    if (full_group_ < 0) continue;
    const BlockId b = n.blocks[static_cast<size_t>(full_group_)];
    if (b == kNoBlock) continue;  // on the host
    LB_REQUIRE(pool(full_group_).refs(b) == n.refs, "node {} is used by {} and its block by {}", i,
               n.refs, pool(full_group_).refs(b));
  }
  for (int g = 0; g < num_groups(); ++g) {
    int counted = 0;
    for (int i = 0; i < pool(g).size(); ++i) counted += pool(g).owner(BlockId(i)) != kNoNode;
    LB_REQUIRE(counted == owned[static_cast<size_t>(g)],
               "group {}: {} blocks say that a node owns them, {} do", g, counted,
               owned[static_cast<size_t>(g)]);
    if (IsWindow(g)) continue;
    // Eviction takes the cached blocks in this order, so children must come before parents.
    std::vector<bool> seen(children.size(), false);
    for (auto b = pool(g).LeastRecentlyCached(); b.has_value(); b = pool(g).NextCached(*b)) {
      const NodeId parent = tree_.node(pool(g).owner(*b)).parent;
      LB_REQUIRE(parent == kNoNode || !seen[static_cast<size_t>(parent.value)],
                 "node {} would be evicted before its child", parent.value);
      seen[static_cast<size_t>(pool(g).owner(*b).value)] = true;
    }
  }
  return {};
}

Result<void> KvCacheManager::CheckHost() const {
  LB_REQUIRE(host_.num_used() == 0, "{} slots are held between two calls", host_.num_used());
  int kept = 0;
  for (int i = 0; i < tree_.id_limit(); ++i) {
    const PrefixTree::Node& n = tree_.node(NodeId(i));
    if (!n.live) continue;
    if (n.slot == kNoBlock) {
      LB_REQUIRE(n.parent == kNoNode || tree_.node(n.parent).slot == kNoBlock, "node {} is on the device and its parent {} on the host", i,
                 n.parent.value);
      continue;
    }
    LB_REQUIRE(host_.owner(n.slot) == NodeId(i), "slot {} is node {}'s and not node {}'s", n.slot.value, host_.owner(n.slot).value, i);
    LB_REQUIRE(n.refs == 0, "node {} is on the host and used by {}", i, n.refs);
    ++kept;
  }
  LB_REQUIRE(kept == host_.num_cached(), "{} slots say that a node owns them, {} do", host_.num_cached(), kept);
  std::vector<bool> seen(static_cast<size_t>(tree_.id_limit()), false);
  for (auto slot = host_.LeastRecentlyCached(); slot.has_value(); slot = host_.NextCached(*slot)) {
    const NodeId parent = tree_.node(host_.owner(*slot)).parent;
    LB_REQUIRE(parent == kNoNode || !seen[static_cast<size_t>(parent.value)], "node {} would leave the host before its child",
               parent.value);
    seen[static_cast<size_t>(host_.owner(*slot).value)] = true;
  }
  return {};
}

}  // namespace lb::kv

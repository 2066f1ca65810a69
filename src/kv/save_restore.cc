// The tree on its way to a file and back.
#include <algorithm>

#include "kv/kv_cache_manager.h"

namespace lb::kv {

std::vector<SavedNode> KvCacheManager::Save(uint64_t last_namespace) const {
  std::vector<SavedNode> nodes;
  if (full_group_ < 0) return nodes;
  // The order of eviction has children before parents, and those used last at its end.
  std::vector<NodeId> order;
  const BlockPool& main = pool(full_group_);
  for (auto b = main.LeastRecentlyCached(); b.has_value(); b = main.NextCached(*b)) {
    order.push_back(main.owner(*b));
  }
  std::ranges::reverse(order);
  std::vector<int> index(static_cast<size_t>(tree_.id_limit()), -1);
  for (NodeId id : order) {
    const PrefixTree::Node& n = tree_.node(id);
    if (n.ns > last_namespace) continue;
    SavedNode saved;
    if (n.parent != kNoNode) {
      saved.parent = index[static_cast<size_t>(n.parent.value)];
      if (saved.parent < 0) continue;  // a running sequence holds what is before it
    }
    index[static_cast<size_t>(id.value)] = static_cast<int>(nodes.size());
    saved.ns = n.ns;
    saved.tokens = n.tokens;
    saved.blocks = n.blocks;
    nodes.push_back(saved);
  }
  return nodes;
}

int KvCacheManager::Restore(std::span<SavedNode> nodes) {
  CHECK_EQ(tree_.num_nodes(), 0);
  if (full_group_ < 0 || !config_.prefix_cache) return 0;
  std::vector<NodeId> ids;
  std::vector<uint64_t> chains;
  for (SavedNode& saved : nodes) {
    bool room = true;
    for (int g = 0; g < num_groups(); ++g) {
      const bool wanted = saved.blocks[static_cast<size_t>(g)] != kNoBlock;
      room &= pool(g).num_free() > 0 || !wanted;
    }
    if (!room) break;
    CHECK_LT(saved.parent, static_cast<int>(ids.size()));
    const bool root = saved.parent < 0;
    const auto above = static_cast<size_t>(root ? 0 : saved.parent);
    chains.push_back(ChainNext(root ? ChainStart(saved.ns) : chains[above], saved.tokens));
    ids.push_back(tree_.Insert(root ? kNoNode : ids[above], saved.ns,
                               chains.back() & config_.hash_mask, saved.tokens));
    PrefixTree::Node& n = tree_.node(ids.back());
    n.last_use_ms = now_ms_;
    for (int g = 0; g < num_groups(); ++g) {
      BlockId& block = saved.blocks[static_cast<size_t>(g)];
      if (block == kNoBlock) continue;
      block = *Pool(g).Allocate();
      n.blocks[static_cast<size_t>(g)] = block;
      Pool(g).SetOwner(block, ids.back());
    }
  }
  // From the back, so that children stand before parents in the order of eviction.
  for (auto it = ids.rbegin(); it != ids.rend(); ++it) {
    for (int g = 0; g < num_groups(); ++g) {
      const BlockId block = tree_.node(*it).blocks[static_cast<size_t>(g)];
      if (block != kNoBlock) Pool(g).Release(block);
    }
  }
  return static_cast<int>(ids.size());
}

void KvCacheManager::DropCached() {
  while (const auto slot = host_.LeastRecentlyCached()) RemoveNode(host_.owner(*slot));
  for (int g = 0; g < num_groups(); ++g) {
    while (const auto block = pool(g).LeastRecentlyCached()) {
      const NodeId node = pool(g).owner(*block);
      if (IsWindow(g)) {
        DropFromNode(node, g);
        RemoveIfUseless(node);
      } else {
        RemoveNode(node);
      }
    }
  }
  ++epoch_;
}

}  // namespace lb::kv

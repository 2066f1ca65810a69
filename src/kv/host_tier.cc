// The manager's host tier: nodes whose blocks were evicted, and what is copied between the pool and the host.
#include <algorithm>
#include <unordered_set>

#include "kv/kv_cache_manager.h"

namespace lb::kv {

void PrefixMatch::LeaveOutHost() {
  num_blocks = num_without_host;
  num_host = 0;
  path.resize(static_cast<size_t>(num_blocks));
}

void KvCacheManager::EvictNode(NodeId id) {
  if (const BlockId slot = TakeSlot(id); slot != kNoBlock) {
    PrefixTree::Node& n = tree_.node(id);
    transfers_.push_back({Transfer::Kind::kSave, slot, n.blocks});
    ++saved_;
    for (int g = 0; g < num_groups(); ++g) {
      n.in_slot[static_cast<size_t>(g)] = n.blocks[static_cast<size_t>(g)] != kNoBlock;
      DropFromNode(id, g);
    }
  } else {
    RemoveNode(id);
  }
}

BlockId KvCacheManager::TakeSlot(NodeId id) {
  if (host_.num_free() == 0) {
    // A leaf: a node comes to the host after its children and stands behind them.
    const std::optional<BlockId> victim = host_.LeastRecentlyCached();
    if (!victim.has_value()) return kNoBlock;
    ++host_evictions_;
    RemoveNode(host_.owner(*victim));
  }
  const BlockId slot = *host_.Allocate();
  host_.SetOwner(slot, id);
  host_.Release(slot);
  tree_.node(id).slot = slot;
  return slot;
}

void KvCacheManager::GiveBackSlot(NodeId id) {
  BlockId& slot = tree_.node(id).slot;
  if (slot == kNoBlock) return;
  host_.ClearOwner(slot);
  slot = kNoBlock;
  tree_.node(id).in_slot.reset();
}

void KvCacheManager::LoadNodes(SequenceKv& seq, size_t first) {
  const std::span<const NodeId> nodes = std::span(seq.path_).subspan(first);
  // Before any block is taken, since that may evict to the host: these slots are not to be had.
  for (NodeId id : nodes) host_.AddRef(tree_.node(id).slot);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const NodeId id = nodes[i];
    for (int g = 0; g < num_groups(); ++g) {
      // What lies behind a window is not worth a block, and is gone then.
      BlockId block = kNoBlock;
      if (static_cast<int64_t>(first + i) >= FirstNeeded(g, seq.num_computed_)) {
        CHECK(tree_.node(id).in_slot[static_cast<size_t>(g)]);
        block = Take(g);
        Pool(g).SetOwner(block, id);
      }
      seq.tables_[static_cast<size_t>(g)].Append(block);
      tree_.node(id).blocks[static_cast<size_t>(g)] = block;
    }
  }
  // Behind all that was saved for their room, so that there are two runs and not one for every node.
  for (NodeId id : nodes) {
    const BlockId slot = tree_.node(id).slot;
    transfers_.push_back({Transfer::Kind::kLoad, slot, tree_.node(id).blocks});
    ++loaded_;
    GiveBackSlot(id);
    host_.Release(slot);
  }
}

std::vector<Transfer> KvCacheManager::TakeTransfers() { return std::exchange(transfers_, {}); }

bool KvCacheManager::Holds(const SequenceKv& seq, std::span<const Transfer> failed) const {
  if (full_group_ < 0) return false;
  const auto g = static_cast<size_t>(full_group_);
  std::unordered_set<int32_t> blocks;
  for (const Transfer& t : failed) {
    if (t.kind == Transfer::Kind::kLoad) blocks.insert(t.blocks[g].value);
  }
  return std::ranges::any_of(
      seq.path_, [&](NodeId id) { return blocks.contains(tree_.node(id).blocks[g].value); });
}

void KvCacheManager::Discard(std::span<const Transfer> failed) {
  std::vector<bool> spoiled(static_cast<size_t>(tree_.id_limit()), false);
  const auto spoil = [&](NodeId id) {
    if (id != kNoNode) spoiled[static_cast<size_t>(id.value)] = true;
  };
  for (const Transfer& t : failed) {
    if (t.kind == Transfer::Kind::kSave) {
      spoil(host_.owner(t.slot));
      continue;
    }
    for (int g = 0; g < num_groups(); ++g) {
      const BlockId block = t.blocks[static_cast<size_t>(g)];
      if (block != kNoBlock) spoil(pool(g).owner(block));
    }
  }
  std::vector<NodeId> order;
  for (int i = 0; i < tree_.id_limit(); ++i) {
    if (tree_.node(NodeId(i)).live) order.push_back(NodeId(i));
  }
  std::ranges::sort(order, {}, [&](NodeId id) { return tree_.node(id).depth; });
  for (NodeId id : order) {
    const NodeId parent = tree_.node(id).parent;
    if (parent != kNoNode && spoiled[static_cast<size_t>(parent.value)]) spoil(id);
  }
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    if (spoiled[static_cast<size_t>(it->value)]) RemoveNode(*it);
  }
  ++epoch_;
}

}  // namespace lb::kv

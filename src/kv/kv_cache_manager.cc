#include "kv/kv_cache_manager.h"

#include <algorithm>

namespace lb::kv {

SequenceKv::~SequenceKv() {
  manager_->Release(*this);
  manager_->sequences_.erase(this);
}

Result<std::unique_ptr<KvCacheManager>> KvCacheManager::Create(KvCacheConfig config) {
  if (config.groups.empty() || config.groups.size() > static_cast<size_t>(kMaxGroups)) {
    return Fail(ErrorCode::kUnsupported, "the model has {} KV groups, 1 to {} are supported",
                config.groups.size(), kMaxGroups);
  }
  if (config.max_chunk < 1) {
    return Fail(ErrorCode::kInvalidArgument, "a step of {} tokens computes nothing",
                config.max_chunk);
  }
  for (const KvGroupConfig& group : config.groups) {
    // What a token sees, at the worst alignment, and one block to grow into.
    const int64_t least = group.window > 0 ? BlocksFor(group.window) + 2 : 1;
    if (group.num_blocks < least) {
      return Fail(ErrorCode::kInvalidArgument,
                  "a KV pool of {} blocks of {} tokens is too small: a window of {} needs {}",
                  group.num_blocks, kBlockTokens, group.window, least);
    }
  }
  const auto has_window = [](const KvGroupConfig& group) { return group.window > 0; };
  if (config.host_slots > 0 && std::ranges::all_of(config.groups, has_window)) {
    return Fail(ErrorCode::kInvalidArgument, "the host tier serves no models of sliding windows only");
  }
  return std::unique_ptr<KvCacheManager>(new KvCacheManager(std::move(config)));
}

KvCacheManager::KvCacheManager(KvCacheConfig config)
    : config_(std::move(config)), host_(config_.host_slots) {
  for (int g = 0; g < num_groups(); ++g) {
    pools_.push_back(
        std::make_unique<BlockPool>(config_.groups[static_cast<size_t>(g)].num_blocks));
    if (full_group_ < 0 && !IsWindow(g)) full_group_ = g;
  }
}

std::unique_ptr<SequenceKv> KvCacheManager::NewSequence(uint64_t ns, bool use_cache) {
  auto seq =
      std::unique_ptr<SequenceKv>(new SequenceKv(this, ns, use_cache && config_.prefix_cache));
  for (int g = 0; g < num_groups(); ++g) {
    seq->tables_.emplace_back(
        &Pool(g), IsWindow(g) ? BlockTable::Order::kFrontToBack : BlockTable::Order::kBackToFront);
  }
  sequences_.insert(seq.get());
  return seq;
}

int64_t KvCacheManager::FirstNeeded(int g, int64_t position) const {
  const int window = config_.groups[static_cast<size_t>(g)].window;
  if (window == 0) return 0;
  return std::max<int64_t>(0, position - window + 1) / kBlockTokens;
}

// ---- matching
// ------------------------------------------------------------------------------------

PrefixMatch KvCacheManager::Match(SequenceKv& seq, std::span<const TokenId> tokens) {
  PrefixMatch match;
  if (!seq.use_cache_ || tokens.empty()) return match;
  ExtendChainHashes(seq.ns_, tokens, seq.hashes_);
  const size_t limit = (tokens.size() - 1) / kBlockTokens;
  std::array<int64_t, kMaxGroups> last_missing;
  last_missing.fill(-1);
  NodeId parent = kNoNode;
  for (size_t i = 0; i < limit; ++i) {
    const NodeId id =
        tree_.Find(parent, seq.ns_, Hash(seq, i), tokens.subspan(i * kBlockTokens, kBlockTokens));
    if (id == kNoNode) break;
    match.path.push_back(id);
    parent = id;
    bool usable = true;
    const PrefixTree::Node& n = tree_.node(id);
    for (int g = 0; g < num_groups(); ++g) {
      auto& missing = last_missing[static_cast<size_t>(g)];
      if (n.blocks[static_cast<size_t>(g)] == kNoBlock && !n.in_slot[static_cast<size_t>(g)]) missing = static_cast<int64_t>(i);
      usable &= missing < FirstNeeded(g, static_cast<int64_t>((i + 1) * kBlockTokens));
    }
    if (!usable) continue;
    match.num_blocks = static_cast<int>(i + 1);
    if (n.slot == kNoBlock) match.num_without_host = match.num_blocks;
  }
  const auto on_host = [&](int i) { return tree_.node(match.path[static_cast<size_t>(i)]).slot != kNoBlock; };
  while (match.num_host < match.num_blocks && on_host(match.num_blocks - match.num_host - 1)) ++match.num_host;
  match.path.resize(static_cast<size_t>(match.num_blocks));
  const size_t next = match.path.size();
  match.pending = next < limit && pending_.contains(Hash(seq, next));
  return match;
}

void KvCacheManager::Attach(SequenceKv& seq, std::span<const TokenId> tokens,
                            const PrefixMatch& match) {
  CHECK(!seq.attached_);
  seq.attached_ = true;
  seq.num_computed_ = match.num_tokens();
  for (NodeId id : match.path) {
    PrefixTree::Node& n = tree_.node(id);
    ++n.refs;
    ++n.hits;
    n.last_use_ms = now_ms_;
  }
  seq.path_ = match.path;
  for (int g = 0; g < num_groups(); ++g) {
    BlockTable& table = seq.tables_[static_cast<size_t>(g)];
    const int64_t first = FirstNeeded(g, seq.num_computed_);
    for (int i = 0; i < match.num_blocks - match.num_host; ++i) {
      if (i < first) {
        table.Append(kNoBlock);
        continue;
      }
      const BlockId block =
          tree_.node(match.path[static_cast<size_t>(i)]).blocks[static_cast<size_t>(g)];
      CHECK(block != kNoBlock);
      Pool(g).AddRef(block);
      table.Append(block);
    }
  }
  if (match.num_host > 0) LoadNodes(seq, match.path.size() - static_cast<size_t>(match.num_host));
  if (!seq.use_cache_) return;
  ExtendChainHashes(seq.ns_, tokens, seq.hashes_);
  seq.pending_begin_ = seq.path_.size();
  seq.pending_end_ = std::max(seq.pending_begin_, tokens.size() / kBlockTokens);
  for (size_t i = seq.pending_begin_; i < seq.pending_end_; ++i) ++pending_[Hash(seq, i)];
}

void KvCacheManager::Unannounce(SequenceKv& seq, size_t upto) {
  const size_t end = std::min(upto, seq.pending_end_);
  if (seq.pending_begin_ < end) ++epoch_;
  for (; seq.pending_begin_ < end; ++seq.pending_begin_) {
    auto it = pending_.find(Hash(seq, seq.pending_begin_));
    CHECK(it != pending_.end());
    if (--it->second == 0) pending_.erase(it);
  }
}

// ---- allocation
// ------------------------------------------------------------------------------------

bool KvCacheManager::Reserve(SequenceKv& seq, int64_t num_tokens) {
  CHECK(seq.attached_);
  const int64_t blocks = BlocksFor(num_tokens);
  for (int g = 0; g < num_groups(); ++g) {
    if (blocks - seq.table(g).size() > pool(g).num_available()) return false;
  }
  for (int g = 0; g < num_groups(); ++g) {
    BlockTable& table = seq.tables_[static_cast<size_t>(g)];
    while (table.size() < blocks) table.Append(Take(g));
  }
  return true;
}

int64_t KvCacheManager::Reservable(const SequenceKv& seq, int64_t wanted) const {
  for (int g = 0; g < num_groups(); ++g) {
    const int64_t blocks = int64_t{seq.table(g).size()} + pool(g).num_available();
    wanted = std::min(wanted, blocks * kBlockTokens);
  }
  return std::max(wanted, seq.num_computed());
}

BlockId KvCacheManager::Take(int g) {
  if (pool(g).num_free() == 0) {
    const std::optional<BlockId> victim = pool(g).LeastRecentlyCached();
    CHECK(victim.has_value());
    const NodeId node = pool(g).owner(*victim);
    ++evictions_;
    if (IsWindow(g)) {
      DropFromNode(node, g);
      RemoveIfUseless(node);
    } else {
      EvictNode(node);
    }
  }
  const std::optional<BlockId> block = Pool(g).Allocate();
  CHECK(block.has_value());
  return *block;
}

void KvCacheManager::DropFromNode(NodeId node, int g) {
  BlockId& block = tree_.node(node).blocks[static_cast<size_t>(g)];
  if (block == kNoBlock) return;
  Pool(g).ClearOwner(block);
  block = kNoBlock;
}

void KvCacheManager::RemoveNode(NodeId node) {
  for (int g = 0; g < num_groups(); ++g) DropFromNode(node, g);
  GiveBackSlot(node);
  tree_.Remove(node);
}

void KvCacheManager::RemoveIfUseless(NodeId id) {
  // Only a model with windows everywhere gets here with a node that has no block left.
  while (id != kNoNode) {
    const PrefixTree::Node& n = tree_.node(id);
    if (n.num_children > 0 || n.refs > 0) return;
    if (std::ranges::any_of(n.blocks, [](BlockId b) { return b != kNoBlock; })) return;
    const NodeId parent = n.parent;
    tree_.Remove(id);
    id = parent;
  }
}

// ---- after a step
// ------------------------------------------------------------------------------------

void KvCacheManager::Commit(SequenceKv& seq, std::span<const TokenId> tokens,
                            int64_t num_computed) {
  CHECK(seq.attached_);
  CHECK_GE(num_computed, seq.num_computed_);
  CHECK_LE(num_computed, static_cast<int64_t>(tokens.size()));
  CHECK_LE(BlocksFor(num_computed), int64_t{seq.table(0).size()});
  seq.num_computed_ = num_computed;
  if (seq.use_cache_) {
    const size_t full = static_cast<size_t>(num_computed / kBlockTokens);
    if (seq.path_.size() < full) ExtendChainHashes(seq.ns_, tokens, seq.hashes_);
    while (seq.path_.size() < full) InsertBlock(seq, tokens, seq.path_.size());
    Unannounce(seq, full);
  }
  for (int g = 0; g < num_groups(); ++g) {
    BlockTable& table = seq.tables_[static_cast<size_t>(g)];
    const int first = static_cast<int>(FirstNeeded(g, num_computed));
    if (table.first() >= first) continue;
    table.DropBefore(first);
    ++epoch_;
  }
}

void KvCacheManager::InsertBlock(SequenceKv& seq, std::span<const TokenId> tokens, size_t i) {
  const NodeId parent = i == 0 ? kNoNode : seq.path_[i - 1];
  const auto key = tokens.subspan(i * kBlockTokens, kBlockTokens);
  NodeId id = tree_.Find(parent, seq.ns_, Hash(seq, i), key);
  if (id == kNoNode) id = tree_.Insert(parent, seq.ns_, Hash(seq, i), key);
  PrefixTree::Node& n = tree_.node(id);
  ++n.refs;
  n.last_use_ms = now_ms_;
  GiveBackSlot(id);  // what is on the host was computed once more
  for (int g = 0; g < num_groups(); ++g) {
    BlockId& theirs = n.blocks[static_cast<size_t>(g)];
    BlockTable& table = seq.tables_[static_cast<size_t>(g)];
    const BlockId ours = table[static_cast<int>(i)];
    if (ours == kNoBlock) continue;
    if (theirs == kNoBlock) {
      theirs = ours;
      Pool(g).SetOwner(ours, id);
    } else {
      // Somebody was first with the same tokens: hold theirs, so that the path of a sequence is
      // the path of its blocks and nothing is stored twice.
      Pool(g).AddRef(theirs);
      table.Exchange(static_cast<int>(i), theirs);
      ++epoch_;
    }
  }
  seq.path_.push_back(id);
}

void KvCacheManager::Rollback(SequenceKv& seq) {
  for (BlockTable& table : seq.tables_) {
    table.Truncate(static_cast<int>(BlocksFor(seq.num_computed_)));
  }
  ++epoch_;
}

void KvCacheManager::Release(SequenceKv& seq) {
  if (!seq.attached_) return;
  Unannounce(seq, seq.pending_end_);
  seq.pending_begin_ = seq.pending_end_ = 0;
  for (BlockTable& table : seq.tables_) table.Clear();
  for (auto it = seq.path_.rbegin(); it != seq.path_.rend(); ++it) {
    PrefixTree::Node& n = tree_.node(*it);
    --n.refs;
    n.last_use_ms = now_ms_;
  }
  if (full_group_ < 0 && !seq.path_.empty()) RemoveIfUseless(seq.path_.back());
  seq.path_.clear();
  seq.num_computed_ = 0;
  seq.attached_ = false;
  ++epoch_;
}

// ---- planning
// ------------------------------------------------------------------------------------

int64_t KvCacheManager::PeakBlocks(int group, int64_t num_tokens) const {
  const int64_t blocks = BlocksFor(num_tokens);
  if (!IsWindow(group)) return blocks;
  const int64_t span = config_.groups[static_cast<size_t>(group)].window + config_.max_chunk;
  return std::min(blocks, BlocksFor(span) + 1);
}

bool KvCacheManager::CanAdmit(const PrefixMatch& match, int64_t num_tokens,
                              std::span<const int64_t> promised) const {
  for (int g = 0; g < num_groups(); ++g) {
    // Reused blocks that are only cached now stop being available once they are held.
    int64_t held = 0, from_cache = 0;
    const int64_t on_device = match.num_blocks - match.num_host;
    for (int64_t i = FirstNeeded(g, match.num_tokens()); i < on_device; ++i) {
      const BlockId b =
          tree_.node(match.path[static_cast<size_t>(i)]).blocks[static_cast<size_t>(g)];
      ++held;
      if (pool(g).refs(b) == 0) ++from_cache;
    }
    // A group smaller than the peak can still serve: the chunk shrinks to what there is.
    const int64_t missing = std::max<int64_t>(0, PeakBlocks(g, num_tokens) - held);
    const int64_t wanted = std::min<int64_t>(missing + from_cache,
                                             IsWindow(g) ? pool(g).size() : missing + from_cache);
    const int64_t others = promised.empty() ? 0 : promised[static_cast<size_t>(g)];
    if (wanted + others > pool(g).num_available()) return false;
  }
  return true;
}

void KvCacheManager::AddPromised(const SequenceKv& seq, int64_t num_tokens,
                                 std::span<int64_t> promised) const {
  for (int g = 0; g < num_groups(); ++g) {
    const int64_t blocks = PeakBlocks(g, num_tokens) - seq.table(g).num_held();
    promised[static_cast<size_t>(g)] += std::max<int64_t>(0, blocks);
  }
}

}  // namespace lb::kv

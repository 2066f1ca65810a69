// KvCacheManager: the scheduler's one door to pools, tables and tree.
//
// Contract: docs/contracts/kv.md. In short: a forward pass never allocates; Reserve does, for a
// whole chunk, all or nothing. Only computed, full blocks enter the tree. Whatever a sequence held
// is given back by Release, at any point, and no other sequence notices.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "kv/block_pool.h"
#include "kv/kv_stats.h"
#include "kv/prefix_tree.h"
#include "kv/sequence_kv.h"
#include "kv/transfer.h"

namespace lb::kv {

struct KvGroupConfig {
  int window = 0;  // 0: every token is kept; else a token sees itself and window - 1 before it
  int num_blocks = 0;
};

struct KvCacheConfig {
  std::vector<KvGroupConfig> groups;  // 1 .. kMaxGroups
  int max_chunk = 2048;               // most tokens one sequence computes in a step
  bool prefix_cache = true;           // false: nothing is ever reused
  int host_slots = 0;  // evicted nodes that the host keeps (its tier); only where a group has no window
  uint64_t hash_mask = ~uint64_t{0};  // tests narrow it to force collisions
};

// What the tree has of a prompt.
struct PrefixMatch {
  int num_blocks = 0;        // reusable now
  bool pending = false;      // the next block is being computed by another sequence: worth a wait
  int num_host = 0;          // the last so many are on the host, and take blocks as new ones do
  int num_without_host = 0;  // reusable with none of those
  std::vector<NodeId> path;  // [num_blocks]
  // For who attaches without having asked CanAdmit.
  void LeaveOutHost();
  int64_t num_tokens() const { return int64_t{num_blocks} * kBlockTokens; }
};

// One node of the tree on its way to a file or back.
struct SavedNode {
  int parent = -1;  // index in the list, before this one
  uint64_t ns = 0;
  BlockTokens tokens{};
  std::array<BlockId, kMaxGroups> blocks;  // kNoBlock: the group has none
};

// Engine thread only.
class KvCacheManager {
 public:
  // kInvalidArgument when a group is too small to serve even one sequence of one block, or host_slots
  // meet windows only.
  static Result<std::unique_ptr<KvCacheManager>> Create(KvCacheConfig config);

  // Which sequences may share: those of one namespace that both have `use_cache`.
  std::unique_ptr<SequenceKv> NewSequence(uint64_t ns, bool use_cache);

  // The longest reusable prefix of `tokens`, short of the last token, which is always computed. It
  // ends where every group still holds what the next token sees.
  PrefixMatch Match(SequenceKv& seq, std::span<const TokenId> tokens);
  // Takes hold of the match and announces the blocks of `tokens` that will be computed. `seq` is
  // empty and `match` is of this moment. num_computed() is then the number of tokens reused. Nodes
  // that are on the host get blocks, which must be there (CanAdmit), and are to be loaded: from now
  // on they are as any other, but nothing may read them before TakeTransfers' list is done.
  void Attach(SequenceKv& seq, std::span<const TokenId> tokens, const PrefixMatch& match);
  // Makes room for positions 0 .. num_tokens - 1 in every group, evicting what must be. All or
  // nothing: false changes nothing.
  bool Reserve(SequenceKv& seq, int64_t num_tokens);
  // The largest num_tokens <= wanted that Reserve would grant; num_computed() when not one more.
  int64_t Reservable(const SequenceKv& seq, int64_t wanted) const;
  // Positions below `num_computed` are computed now. `tokens` are all of the sequence's. Full
  // blocks enter the tree, blocks behind a window are let go.
  void Commit(SequenceKv& seq, std::span<const TokenId> tokens, int64_t num_computed);
  // Returns blocks that were reserved and not committed.
  void Rollback(SequenceKv& seq);
  // Returns everything; what is in the tree stays cached. `seq` can be attached again.
  void Release(SequenceKv& seq);

  // What is to be copied between pool and host, in this order, before a block is written or read
  // again: before the next forward pass. They are the caller's now.
  std::vector<Transfer> TakeTransfers();
  bool has_transfers() const { return !transfers_.empty(); }
  // When `failed` may not have been done: what was to be filled is worthless. Whether `seq` holds
  // some of it ...
  bool Holds(const SequenceKv& seq, std::span<const Transfer> failed) const;
  // ... and, when no sequence does any more: takes it, and all that is behind it, out of the tree.
  void Discard(std::span<const Transfer> failed);

  // Blocks that a sequence of `num_tokens` tokens takes at most in `group`.
  int64_t PeakBlocks(int group, int64_t num_tokens) const;
  // Whether every group can give: for the match of a new sequence, all blocks up to `num_tokens`,
  // on top of `promised[g]` blocks that others are going to take.
  bool CanAdmit(const PrefixMatch& match, int64_t num_tokens,
                std::span<const int64_t> promised) const;
  // Adds to promised[g] what `seq` will still take to hold `num_tokens` tokens.
  void AddPromised(const SequenceKv& seq, int64_t num_tokens, std::span<int64_t> promised) const;

  // Grows whenever a refused Match, CanAdmit or Reserve may now go otherwise.
  uint64_t epoch() const { return epoch_; }

  int num_groups() const { return static_cast<int>(config_.groups.size()); }
  // The group whose numbers stand for the cache: one that keeps every token, if there is one.
  int main_group() const { return full_group_ < 0 ? 0 : full_group_; }
  const KvCacheConfig& config() const { return config_; }
  const BlockPool& pool(int group) const { return *pools_[static_cast<size_t>(group)]; }
  const BlockPool& host() const { return host_; }  // its blocks are the slots of the host tier
  const PrefixTree& tree() const { return tree_; }
  void set_now_ms(int64_t now_ms) { now_ms_ = now_ms; }
  int64_t num_evictions() const { return evictions_; }  // blocks taken from the tree; only grows
  HostStats host_stats() const;
  KvStats Stats() const;
  // At most `max_runs` runs of the tree, those used last. Takes time in proportion to the tree.
  KvSnapshot Snapshot(int max_runs) const;
  // The cached nodes, most recently used first, parents before children. Empty for a model of
  // windows only. Left out are namespaces above `last_namespace`, what is on the host, and whatever
  // a sequence holds at this moment.
  std::vector<SavedNode> Save(uint64_t last_namespace = ~uint64_t{0}) const;
  // The way back, into an empty tree: gives every node new blocks while there are free ones, and
  // returns how many nodes, from the front of `nodes`, are in the tree now. Their blocks are cached
  // at once: the caller fills them before anything runs.
  int Restore(std::span<SavedNode> nodes);
  // Frees every block that is only cached, and the host tier.
  void DropCached();

  // Recounts everything against everything, in time linear in pools and tables. The error says what
  // is wrong: always a bug of ours.
  Result<void> CheckInvariants() const;

 private:
  friend class SequenceKv;
  explicit KvCacheManager(KvCacheConfig config);

  bool IsWindow(int g) const { return config_.groups[static_cast<size_t>(g)].window > 0; }
  // Index of the first block that a token at `position` sees in group g.
  int64_t FirstNeeded(int g, int64_t position) const;
  BlockPool& Pool(int g) { return *pools_[static_cast<size_t>(g)]; }
  // A block with one reference. The caller has made sure that one is available.
  BlockId Take(int g);
  // Its blocks become free; the node goes to the host, or away where there is no slot for it.
  void EvictNode(NodeId node);
  // A node without children and references.
  void RemoveNode(NodeId node);
  void DropFromNode(NodeId node, int g);
  // A slot for a node whose blocks go, the node used least recently on the host leaving if it must.
  BlockId TakeSlot(NodeId node);
  void GiveBackSlot(NodeId node);
  // The nodes of `seq` from path_[first] on are on the host: gives them the blocks that it sees and queues the loads.
  void LoadNodes(SequenceKv& seq, size_t first);
  void RemoveIfUseless(NodeId node);
  // Puts block i of `seq`, just computed, into the tree, or takes over the node that is there.
  void InsertBlock(SequenceKv& seq, std::span<const TokenId> tokens, size_t i);
  void Unannounce(SequenceKv& seq, size_t upto);
  uint64_t Hash(const SequenceKv& seq, size_t i) const {
    return seq.hashes_[i] & config_.hash_mask;
  }

  Result<void> CheckTables() const;
  Result<void> CheckTree() const;
  Result<void> CheckHost() const;

  KvCacheConfig config_;
  int full_group_ = -1;  // the first group without a window; it decides which nodes live
  std::vector<std::unique_ptr<BlockPool>> pools_;
  BlockPool host_;  // slots: free, or cached for the node that owns it; used while it is being taken
  std::vector<Transfer> transfers_;  // decided, and not taken yet
  PrefixTree tree_;
  std::unordered_map<uint64_t, int> pending_;  // chain hash -> sequences computing that block
  std::unordered_set<SequenceKv*> sequences_;  // all that exist
  uint64_t epoch_ = 1;
  int64_t evictions_ = 0;
  int64_t saved_ = 0, loaded_ = 0, host_evictions_ = 0;  // nodes
  int64_t now_ms_ = 0;
};

}  // namespace lb::kv

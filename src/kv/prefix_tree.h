// PrefixTree: which token sequences have their keys and values in the pool.
#pragma once

#include <array>
#include <bitset>
#include <span>
#include <unordered_map>
#include <vector>

#include "kv/types.h"

namespace lb::kv {

using BlockTokens = std::array<TokenId, kBlockTokens>;

// The hash of a chain of blocks: of none, and of one more block behind a chain.
uint64_t ChainStart(uint64_t ns);
uint64_t ChainNext(uint64_t chain, std::span<const TokenId> block);

// Extends `hashes` to one hash per full block of `tokens`. Hash i depends on the namespace and on
// every token of blocks 0 .. i.
void ExtendChainHashes(uint64_t ns, std::span<const TokenId> tokens, std::vector<uint64_t>& hashes);

// A node is one full block of tokens behind the tokens of its ancestors. It is never split and its
// key never edited. Nodes are found by the hash of their whole chain, and taken only when parent,
// namespace and all tokens are equal, so a collision costs time and never a wrong answer. Knows
// nothing of pools, sequences or time. Engine thread only.
class PrefixTree {
 public:
  struct Node {
    NodeId parent = kNoNode;
    uint64_t ns = 0;
    uint64_t hash = 0;
    BlockTokens tokens{};
    std::array<BlockId, kMaxGroups> blocks;  // one per group; kNoBlock where a window let it go
    BlockId slot = kNoBlock;  // where the host tier keeps it; it has no blocks then
    std::bitset<kMaxGroups> in_slot;  // the groups whose blocks are there
    int depth = 0;                           // blocks before it
    int num_children = 0;
    int refs = 0;      // sequences whose path runs through it
    int64_t hits = 0;  // sequences that found it here
    int64_t last_use_ms = 0;
    bool live = false;
  };

  NodeId Find(NodeId parent, uint64_t ns, uint64_t hash, std::span<const TokenId> tokens) const;
  // `tokens` has kBlockTokens values; the node must not exist. It starts without blocks.
  NodeId Insert(NodeId parent, uint64_t ns, uint64_t hash, std::span<const TokenId> tokens);
  // A node without children, references and blocks.
  void Remove(NodeId node);

  Node& node(NodeId id) { return nodes_[static_cast<size_t>(id.value)]; }
  const Node& node(NodeId id) const { return nodes_[static_cast<size_t>(id.value)]; }
  int num_nodes() const { return num_nodes_; }
  // Ids below this may be live.
  int id_limit() const { return static_cast<int>(nodes_.size()); }

 private:
  std::vector<Node> nodes_;
  std::vector<NodeId> free_ids_;
  std::unordered_multimap<uint64_t, NodeId> by_hash_;
  int num_nodes_ = 0;
};

}  // namespace lb::kv

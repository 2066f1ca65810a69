#include "kv/prefix_tree.h"

#include <algorithm>

#include "base/check.h"

namespace lb::kv {
namespace {

// The finaliser of splitmix64: every input bit reaches every output bit.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

}  // namespace

uint64_t ChainStart(uint64_t ns) { return Mix(ns); }

uint64_t ChainNext(uint64_t chain, std::span<const TokenId> block) {
  for (TokenId t : block) chain = Mix(chain ^ static_cast<uint32_t>(t));
  return chain;
}

void ExtendChainHashes(uint64_t ns, std::span<const TokenId> tokens,
                       std::vector<uint64_t>& hashes) {
  const size_t num_blocks = tokens.size() / kBlockTokens;
  while (hashes.size() < num_blocks) {
    const uint64_t before = hashes.empty() ? ChainStart(ns) : hashes.back();
    hashes.push_back(ChainNext(before, tokens.subspan(hashes.size() * kBlockTokens, kBlockTokens)));
  }
}

NodeId PrefixTree::Find(NodeId parent, uint64_t ns, uint64_t hash,
                        std::span<const TokenId> tokens) const {
  auto [it, end] = by_hash_.equal_range(hash);
  for (; it != end; ++it) {
    const Node& n = node(it->second);
    if (n.parent == parent && n.ns == ns && std::ranges::equal(n.tokens, tokens)) return it->second;
  }
  return kNoNode;
}

NodeId PrefixTree::Insert(NodeId parent, uint64_t ns, uint64_t hash,
                          std::span<const TokenId> tokens) {
  CHECK_EQ(tokens.size(), static_cast<size_t>(kBlockTokens));
  NodeId id(static_cast<int32_t>(nodes_.size()));
  if (free_ids_.empty()) {
    nodes_.emplace_back();
  } else {
    id = free_ids_.back();
    free_ids_.pop_back();
  }
  Node& n = node(id);
  n = Node{};
  n.parent = parent;
  n.ns = ns;
  n.hash = hash;
  std::ranges::copy(tokens, n.tokens.begin());
  n.blocks.fill(kNoBlock);
  n.live = true;
  if (parent != kNoNode) {
    CHECK(node(parent).live);
    n.depth = node(parent).depth + 1;
    ++node(parent).num_children;
  }
  by_hash_.emplace(hash, id);
  ++num_nodes_;
  return id;
}

void PrefixTree::Remove(NodeId id) {
  Node& n = node(id);
  CHECK(n.live);
  CHECK_EQ(n.num_children, 0);
  CHECK_EQ(n.refs, 0);
  for (BlockId b : n.blocks) CHECK(b == kNoBlock);
  CHECK(n.slot == kNoBlock);
  if (n.parent != kNoNode) --node(n.parent).num_children;
  auto [it, end] = by_hash_.equal_range(n.hash);
  while (it != end && it->second != id) ++it;
  CHECK(it != end);
  by_hash_.erase(it);
  n.live = false;
  free_ids_.push_back(id);
  --num_nodes_;
}

}  // namespace lb::kv

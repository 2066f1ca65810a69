// Proves that a node is found for exactly its parent, namespace and tokens, hash collisions
// included.
#include "kv/prefix_tree.h"

#include <gtest/gtest.h>

namespace lb::kv {
namespace {

std::vector<TokenId> Block(TokenId first) {
  std::vector<TokenId> t(kBlockTokens);
  for (int i = 0; i < kBlockTokens; ++i) t[static_cast<size_t>(i)] = first + i;
  return t;
}

TEST(PrefixTreeTest, CollidingHashesNeverMix) {
  PrefixTree tree;
  constexpr uint64_t kSame = 42;  // every node has this hash
  const NodeId a = tree.Insert(kNoNode, 0, kSame, Block(0));
  const NodeId b = tree.Insert(kNoNode, 0, kSame, Block(1));
  const NodeId other_ns = tree.Insert(kNoNode, 7, kSame, Block(0));
  const NodeId child = tree.Insert(a, 0, kSame, Block(1));
  EXPECT_EQ(tree.Find(kNoNode, 0, kSame, Block(0)), a);
  EXPECT_EQ(tree.Find(kNoNode, 0, kSame, Block(1)), b);
  EXPECT_EQ(tree.Find(kNoNode, 7, kSame, Block(0)), other_ns);
  EXPECT_EQ(tree.Find(kNoNode, 7, kSame, Block(1)), kNoNode);
  EXPECT_EQ(tree.Find(a, 0, kSame, Block(1)), child);
  EXPECT_EQ(tree.Find(b, 0, kSame, Block(1)), kNoNode);
  auto almost = Block(0);
  almost[15] += 1;
  EXPECT_EQ(tree.Find(kNoNode, 0, kSame, almost), kNoNode);
  EXPECT_EQ(tree.num_nodes(), 4);
  EXPECT_EQ(tree.node(child).depth, 1);
}

TEST(PrefixTreeTest, ARemovedNodeIsGoneAndItsIdIsUsedAgain) {
  PrefixTree tree;
  const NodeId a = tree.Insert(kNoNode, 0, 1, Block(0));
  const NodeId c = tree.Insert(a, 0, 2, Block(5));
  EXPECT_DEATH(tree.Remove(a), "CHECK failed");  // it has a child
  tree.Remove(c);
  EXPECT_EQ(tree.Find(a, 0, 2, Block(5)), kNoNode);
  tree.Remove(a);
  EXPECT_EQ(tree.num_nodes(), 0);
  tree.Insert(kNoNode, 0, 3, Block(9));
  EXPECT_EQ(tree.id_limit(), 2);
}

TEST(PrefixTreeTest, ChainHashesDependOnNamespaceAndEveryToken) {
  std::vector<TokenId> tokens(40, 3);
  std::vector<uint64_t> plain, ns, changed, grown;
  ExtendChainHashes(0, tokens, plain);
  ASSERT_EQ(plain.size(), 2u);
  ExtendChainHashes(1, tokens, ns);
  EXPECT_NE(plain[0], ns[0]);
  tokens[0] = 4;
  ExtendChainHashes(0, tokens, changed);
  EXPECT_NE(plain[0], changed[0]);
  EXPECT_NE(plain[1], changed[1]);
  tokens[0] = 3;
  ExtendChainHashes(0, std::span(tokens).first(20), grown);
  ExtendChainHashes(0, tokens, grown);
  EXPECT_EQ(grown, plain);
}

}  // namespace
}  // namespace lb::kv

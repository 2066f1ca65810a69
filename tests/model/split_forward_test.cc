// Proves that a model whose layers are shared among several backends computes, bit for bit, what one backend computes: every family,
// with adapters, in chunks.
#include <gtest/gtest.h>

#include "kernels/backends.h"
#include "kernels/split_ops.h"
#include "tests/model/chunked_logits.h"

namespace lb {
namespace {

constexpr int kTokens = 40;

std::unique_ptr<Ops> Split(std::vector<int> first_layers, int num_layers) {
  std::vector<std::unique_ptr<Ops>> parts;
  for (size_t i = 0; i < first_layers.size(); ++i) parts.push_back(MakeRefOps());
  return std::make_unique<SplitOps>(std::move(parts), std::move(first_layers), num_layers);
}

class SplitForwardTest : public testing::TestWithParam<const char*> {};

TEST_P(SplitForwardTest, TheBitsAreThoseOfOneBackend) {
  for (const bool tied : {false, true}) {
    test::TinySpec spec;
    spec.arch = GetParam();
    spec.layers = 7;
    spec.tied = spec.biases = tied;
    if (tied) spec.dtype = DType::kQ8_0;
    // Each is given one model after the other: memory comes back at addresses that were another's.
    std::vector<std::unique_ptr<Ops>> splits;
    for (const std::vector<int>& first : {std::vector<int>{0, 3}, {0, 1, 6}, {0, 1, 2, 3, 4, 5, 6}}) splits.push_back(Split(first, 7));
    for (const std::vector<AdapterUse>& uses : {std::vector<AdapterUse>{}, {{0, 0.5f}}}) {
      const auto whole = test::ChunkedLogits(*MakeRefOps(), spec, kTokens, kTokens, uses);
      for (const auto& split : splits) {
        for (const int chunk : {kTokens, 7, 1}) EXPECT_EQ(test::ChunkedLogits(*split, spec, kTokens, chunk, uses), whole) << split->name() << ", chunks of " << chunk;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, SplitForwardTest, testing::Values("llama", "qwen2", "qwen3", "gemma3"));

}  // namespace
}  // namespace lb

// Proves that a model whose layers are shared among several backends computes, bit for bit, what one backend computes: every family,
// with adapters, in chunks.
#include <gtest/gtest.h>

#include <numeric>

#include "kernels/backends.h"
#include "kernels/split_ops.h"
#include "model/solo_runner.h"
#include "tests/model/tiny_adapter.h"
#include "tests/model/tiny_model.h"

namespace lb {
namespace {

constexpr int kTokens = 40;

std::vector<float> Logits(Ops& ops, const test::TinySpec& spec, int chunk, const std::vector<AdapterUse>& uses) {
  const auto loaded = test::LoadTiny(spec, ops);
  const auto file = test::MakeTinyAdapter({.model = spec, .rank = 5, .seed = 7});
  auto adapter = test::ParseAdapter(file, *loaded.model, ops);
  EXPECT_TRUE(adapter.has_value());
  loaded.model->AddAdapter(std::move(*adapter));
  SoloOptions options;
  options.max_context = 64;
  options.max_batch_tokens = options.max_logit_rows = kTokens;
  auto runner = std::move(SoloRunner::Create(*loaded.model, ops, options)).value();
  std::vector<int32_t> tokens(kTokens);
  for (int i = 0; i < kTokens; ++i) tokens[static_cast<size_t>(i)] = (i * 37 + 11) % spec.vocab;
  std::vector<float> all;
  for (int from = 0; from < kTokens; from += chunk) {
    const int count = std::min(chunk, kTokens - from);
    std::vector<int32_t> rows(static_cast<size_t>(count));
    std::iota(rows.begin(), rows.end(), 0);
    const SoloPiece piece{0, std::span(tokens).subspan(static_cast<size_t>(from), static_cast<size_t>(count)), rows, uses};
    const auto logits = runner->Run(std::span(&piece, 1));
    EXPECT_TRUE(logits.has_value());
    all.insert(all.end(), logits->begin(), logits->end());
  }
  return all;
}

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
      const auto whole = Logits(*MakeRefOps(), spec, kTokens, uses);
      for (const auto& split : splits) {
        for (const int chunk : {kTokens, 7, 1}) EXPECT_EQ(Logits(*split, spec, chunk, uses), whole) << split->name() << ", chunks of " << chunk;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, SplitForwardTest, testing::Values("llama", "qwen2", "qwen3", "gemma3"));

}  // namespace
}  // namespace lb

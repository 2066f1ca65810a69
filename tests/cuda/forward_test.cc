// Proves that whole models compute on the GPU what the reference computes, for every family, in every way a batch can
// look; and, in deterministic mode, that no token's bits depend on that way.
#include <cstring>
#include <thread>

#include "kernels/split_ops.h"
#include "model/solo_runner.h"
#include "tests/cuda/device_tensors.h"
#include "tests/model/chunked_logits.h"

namespace lb {
namespace {

constexpr int kTokens = 75;

struct Case {
  const char* arch;
  bool quantised;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.arch << (c.quantised ? " quantised" : " plain"); }

test::TinySpec SpecOf(const Case& c) {
  test::TinySpec spec;
  spec.arch = c.arch;
  spec.layers = 7;  // the tiny gemma3 has one full layer
  if (c.quantised) {
    spec.dtype = DType::kQ8_0;
    spec.biases = spec.tied = true;
  }
  return spec;
}

class CudaForwardTest : public testing::TestWithParam<Case> {
 protected:
  static std::vector<float> Run(Ops& ops, int chunk, const std::vector<AdapterUse>& uses = {}) {
    return test::ChunkedLogits(ops, SpecOf(GetParam()), kTokens, chunk, uses);
  }
};

TEST_P(CudaForwardTest, LogitsAreTheReferences) {
  const auto ref = MakeRefOps();
  const auto expected = Run(*ref, kTokens);
  for (int chunk : {kTokens, 40, 16, 5, 1}) {
    // The reference rounds activations to 8 bits where weights are integers.
    EXPECT_LT(Distance(Run(Gpu(), chunk), expected), GetParam().quantised ? 3e-2 : 1e-2) << chunk;
  }
}

TEST_P(CudaForwardTest, AdaptersAreTheReferences) {
  const auto ref = MakeRefOps();
  const std::vector<AdapterUse> uses = {{0, 0.5f}, {1, -0.75f}};
  const auto expected = Run(*ref, kTokens, uses);
  EXPECT_GT(Distance(Run(*ref, kTokens), expected), 5e-2) << "the adapters do not show";
  for (int chunk : {kTokens, 40, 5, 1}) {
    // With what adapters add the rounding of the reference weighs more.
    EXPECT_LT(Distance(Run(Gpu(), chunk, uses), expected), GetParam().quantised ? 6e-2 : 1e-2) << chunk;
  }
}

TEST_P(CudaForwardTest, LayersInHostMemoryAreTheSame) {
  CudaOptions options;
  options.layers = 3;
  const auto partly = MakeCudaOps(options);
  ASSERT_TRUE(partly.has_value()) << partly.error().message;
  for (int chunk : {kTokens, 40}) EXPECT_LT(Distance(Run(**partly, chunk), Run(Gpu(), chunk)), 2e-3) << chunk;
  for (int chunk : {5, 1}) EXPECT_TRUE(SameBits(Run(**partly, chunk), Run(Gpu(), chunk))) << chunk;
}

// Two devices share the layers, or one does so with itself: the bits are those of one alone.
TEST_P(CudaForwardTest, SharedLayersAreTheSame) {
  const std::vector<CudaDevice> devices = CudaDevices();
  std::vector<std::unique_ptr<Ops>> parts;
  for (const CudaDevice& device : {devices.front(), devices.back()}) {
    CudaOptions options;
    options.device = device.index;
    auto part = MakeCudaOps(options);
    ASSERT_TRUE(part.has_value()) << part.error().message;
    parts.push_back(std::move(part).value());
  }
  SplitOps split(std::move(parts), {0, 3}, 7);
  for (const std::vector<AdapterUse>& uses : {std::vector<AdapterUse>{}, {{0, 0.5f}, {1, -0.75f}}}) {
    for (int chunk : {kTokens, 40, 5, 1}) EXPECT_TRUE(SameBits(Run(split, chunk, uses), Run(Gpu(), chunk, uses))) << chunk;
  }
}

// The engine computes on another thread than the one that loads, and the last device may be another than the current one.
TEST(CudaDevicesTest, EveryDeviceComputesFromEveryThread) {
  test::TinySpec spec;
  std::vector<std::unique_ptr<Ops>> all;
  for (const CudaDevice& device : CudaDevices()) {
    CudaOptions options;
    options.device = device.index;
    auto ops = MakeCudaOps(options);
    ASSERT_TRUE(ops.has_value()) << ops.error().message;
    all.push_back(std::move(ops).value());
  }
  ASSERT_FALSE(all.empty());
  std::vector<std::vector<float>> results;
  for (const auto& ops : all) {
    const auto loaded = test::LoadTiny(spec, *ops);
    auto runner = SoloRunner::Create(*loaded.model, *ops, {});
    ASSERT_TRUE(runner.has_value());
    std::thread([&] {
      const std::vector<int32_t> tokens = {5, 7, 11}, rows = {0, 1, 2};
      const SoloPiece piece{0, tokens, rows, {}};
      const auto logits = (*runner)->Run(std::span(&piece, 1));
      ASSERT_TRUE(logits.has_value());
      results.emplace_back(logits->begin(), logits->end());
    }).join();
  }
  for (const auto& result : results) EXPECT_TRUE(SameBits(result, results[0]));
}

TEST_P(CudaForwardTest, DeterministicChunksDoNotMatter) {
  for (const std::vector<AdapterUse>& uses : {std::vector<AdapterUse>{}, {{1, 1.0f}}}) {
    const auto whole = Run(Gpu(true), kTokens, uses);
    for (int chunk : {40, 16, 5, 1}) {
      const auto part = Run(Gpu(true), chunk, uses);
      EXPECT_TRUE(SameBits(part, whole)) << chunk;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, CudaForwardTest,
                         testing::Values(Case{"llama", false}, Case{"llama", true}, Case{"qwen2", false}, Case{"qwen2", true},
                                         Case{"qwen3", false}, Case{"qwen3", true}, Case{"gemma3", false}, Case{"gemma3", true}),
                         [](const auto& p) { return std::string(p.param.arch) + (p.param.quantised ? "_quantised" : "_plain"); });

}  // namespace
}  // namespace lb

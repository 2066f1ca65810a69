// Proves of a runner whose operations choose the best logits: masks of a batch reach them, in a step that is repeated too, also when they
// come after its start; the pass is the same one whatever masks there are, and another one when nobody has any.
#include "engine/model_runner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "engine/engine.h"
#include "kernels/backends.h"
#include "kernels/ref/ref_ops.h"
#include "kernels/split_ops.h"
#include "tests/engine/engine_fixture.h"
#include "tests/model/tiny_model.h"

namespace lb {
namespace {

constexpr int kVocab = 100;

// The later a token, the better.
class RisingLogits final : public Model {
 public:
  RisingLogits() {
    config_.num_layers = 1;
    config_.num_kv_heads = {1};
    config_.k_dim = config_.v_dim = 32;
    config_.vocab_size = kVocab;
    config_.kv_groups = {{0, {0}}};
  }
  void Forward(Ops&, const ForwardBatch& batch, KvLayers, Arena&, const ForwardOutput& out) const override {
    ++passes;
    for (size_t r = 0; r < batch.logit_rows.size(); ++r) {
      for (int t = 0; t < kVocab; ++t) out.logits.f32()[r * kVocab + static_cast<size_t>(t)] = static_cast<float>(t);
    }
  }
  size_t ArenaBytes(int, int) const override { return size_t{1} << 20; }
  mutable int passes = 0;
};

// Chooses the one best token, when the step ends, from what the arrays hold then.
class ChoosingOps final : public RefOps {
 public:
  int most_top() const override { return 8; }
  int most_masks(int64_t) const override { return 8; }
  void Top(const TensorView& logits, int, const TokenMasks& masks, float* values, int32_t* ids) override {
    top_ = [=, x = logits] {
      for (int64_t r = 0; r < x.rows(); ++r) {
        const int mask = masks.rows.empty() ? -1 : masks.rows[static_cast<size_t>(r)];
        ids[r] = -1;
        for (int t = 0; t < kVocab; ++t) {
          const auto word = static_cast<size_t>(mask * TokenMasks::words(kVocab) + t / 32);
          if (mask >= 0 && (masks.bits[word] >> (t % 32) & 1) == 0) continue;
          if (ids[r] < 0 || x.f32()[r * kVocab + t] > values[r]) ids[r] = t, values[r] = x.f32()[r * kVocab + t];
        }
      }
    };
  }
  void Start() override { ++started_; }
  Result<void> Finish() override {
    top_();
    return {};
  }
  int64_t last_started() const override { return started_; }
  bool Repeat(int64_t number) override { return number > 0 && number == started_; }
  // What is queued reads all its arrays, the late one too, when it is waited for.
  bool RepeatAhead(int64_t number, std::span<const int32_t> late) override {
    if (!apart || number != started_) return false;
    ++started_;
    ++queued;
    late_ = late;
    return true;
  }
  void Release() override { released.emplace_back(late_.begin(), late_.end()); }
  bool runs_apart() const override { return apart; }
  bool apart = false;
  int queued = 0;
  std::vector<std::vector<int32_t>> released;  // the tokens that a queued step got

 private:
  std::span<const int32_t> late_;
  std::function<void()> top_;
  int64_t started_ = 0;
};

TEST(ModelRunnerTest, MasksReachTheChoiceInARepeatedStepToo) {
  RisingLogits model;
  ChoosingOps ops;
  RunnerConfig config;
  config.group_blocks = {4};
  const auto runner = std::move(MakeModelRunner(model, ops, config)).value();
  EXPECT_EQ(runner->most_best(), 8);
  EXPECT_EQ(runner->most_masks(), 8);

  // Three sequences that decode, in arrays which stay.
  const std::vector<int32_t> tokens = {1, 2, 3}, positions = {0, 0, 0}, start = {0, 1, 2, 3}, length = {1, 1, 1}, rows = {0, 1, 2};
  const std::vector<int32_t> slots = {0, 16, 32}, table = {0, 1, 2};
  const std::vector<KvBatch> kv = {{slots, table, 1}};
  std::vector<int32_t> mask_of = {-1, -1, -1};
  std::vector<uint32_t> bits;
  bits.reserve(12);
  // What is chosen when row r may choose allowed[r] alone; -1: anything.
  const auto run = [&](const std::vector<int>& allowed, bool masked = true, bool early = true) {
    bits.clear();
    for (size_t r = 0; r < 3; ++r) {
      mask_of[r] = allowed[r] < 0 ? -1 : static_cast<int32_t>(bits.size() / 4);
      if (allowed[r] < 0) continue;
      bits.resize(bits.size() + 4);
      bits[bits.size() - 4 + static_cast<size_t>(allowed[r] / 32)] = 1u << (allowed[r] % 32);
    }
    ForwardBatch batch{tokens, {positions, start, length}, kv, rows, {}, 1};
    batch.masked = masked;
    if (early) runner->Start(batch);
    if (masked) batch.masks = {mask_of, bits};
    EXPECT_TRUE(runner->Run(batch).has_value());
    std::vector<int> chosen;
    for (const TokenLogit& t : runner->best()) chosen.push_back(t.token);
    return chosen;
  };
  using Ids = std::vector<int>;
  EXPECT_EQ(run({7, -1, 64}), (Ids{7, 99, 64}));
  EXPECT_EQ(model.passes, 1);
  EXPECT_EQ(run({-1, 31, 2}), (Ids{99, 31, 2}));
  EXPECT_EQ(run({33, 98, -1}), (Ids{33, 98, 99}));
  EXPECT_EQ(model.passes, 1) << "not repeated";
  EXPECT_EQ(run({33, 98, 5}, true, false), (Ids{33, 98, 5}));
  EXPECT_EQ(run({34, 3, 6}), (Ids{34, 3, 6}));
  EXPECT_EQ(model.passes, 1) << "not repeated";
  EXPECT_EQ(run({-1, -1, -1}, false), (Ids{99, 99, 99}));
  EXPECT_EQ(model.passes, 2);
  EXPECT_EQ(run({-1, -1, -1}, false, false), (Ids{99, 99, 99}));
  EXPECT_EQ(model.passes, 2) << "not repeated";
  EXPECT_EQ(run({1, -1, -1}), (Ids{1, 99, 99}));
  EXPECT_EQ(model.passes, 3);
}

// The engine's steps and the runner's: what only differs by its tokens is queued, and gets them.
TEST(ModelRunnerTest, StepsOfOneShapeAreQueuedBehindEachOther) {
  RisingLogits model;
  ChoosingOps ops;
  ops.apart = true;
  RunnerConfig runner_config;
  runner_config.group_blocks = {16};
  EngineConfig config;
  config.kv_groups = {{0, 16}};
  config.max_request_tokens = 100;
  const test::FixedClock clock;
  const auto engine = std::move(Engine::Create(config, std::move(MakeModelRunner(model, ops, runner_config)).value(), &clock)).value();
  std::vector<std::unique_ptr<TokenStream>> streams;
  for (int i = 0; i < 2; ++i) {
    Request request;
    request.prompt = {1, 2, 3};
    request.max_tokens = 40;
    request.sampling.temperature = 0;
    request.ignore_eos = true;
    streams.push_back(std::move(engine->Submit(std::move(request))).value());
  }
  int steps = 0;
  for (; !engine->idle() && steps < 100; ++steps) engine->Step();
  EXPECT_TRUE(engine->idle());
  // Not the prompts' step, the first of its shape, the last, nor when the tables grow.
  EXPECT_GE(ops.queued, steps - 8) << "of " << steps;
  ASSERT_EQ(ops.released.size(), static_cast<size_t>(ops.queued));
  for (const auto& tokens : ops.released) EXPECT_EQ(tokens, (std::vector<int32_t>{99, 99}));
  for (const auto& stream : streams) {
    int tokens = 0;
    for (const TokenEvent& event : stream->Take()) tokens += event.kind == TokenEvent::Kind::kToken;
    EXPECT_EQ(tokens, 40);
  }
}

// K and V that all layers share, where two backends share the layers.
TEST(ModelRunnerTest, ScratchKvIsEverybodys) {
  const auto logits = [](Ops& ops) {
    const auto loaded = test::LoadTiny({}, ops);
    RunnerConfig config;
    config.group_blocks = {4};
    config.scratch_kv = true;
    const auto runner = std::move(MakeModelRunner(*loaded.model, ops, config)).value();
    const std::vector<int32_t> tokens = {1, 2, 3}, positions = {0, 1, 2}, start = {0, 3}, length = {3}, rows = {0, 2};
    const std::vector<int32_t> slots = {32, 33, 34}, table = {2};
    const std::vector<KvBatch> kv = {{slots, table, 1}};
    const auto all = runner->Run({tokens, {positions, start, length}, kv, rows, {}, 0});
    return std::vector<float>(all->begin(), all->end());
  };
  std::vector<std::unique_ptr<Ops>> parts;
  for (int i = 0; i < 2; ++i) parts.push_back(MakeRefOps());
  SplitOps split(std::move(parts), {0, 1}, 3);
  EXPECT_EQ(logits(split), logits(*MakeRefOps()));
}

}  // namespace
}  // namespace lb

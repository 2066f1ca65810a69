// Proves promise 2 on real models through the whole engine: a greedy answer is the same tokens
// alone, on a warm cache, among others, in small chunks, and in a pool so small that sequences are
// paused. Needs models/ (tools/get_models).
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "engine/engine.h"
#include "engine/kv_sizing.h"
#include "kernels/backends.h"

namespace lb {
namespace {

class SlowRealModelTest : public testing::Test {
 protected:
  void Load(const std::string& name) {
    const char* folder = std::getenv("LLAMABOX_MODELS");
    const std::filesystem::path path = std::filesystem::path(folder ? folder : "models") / name;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent: run tools/get_models";
    ops_ = std::move(*MakeCpuOps({}));
    file_ = std::move(*gguf::GgufFile::Open(path.string()));
    model_ = std::move(*LoadModel(*file_, *ops_, nullptr));
  }

  struct Setup {
    int64_t pool_tokens = 4096;
    int64_t max_request = 1024;
    int max_batch_tokens = 512;
    bool prefix_cache = true;
    KvDTypes dtypes;
  };
  void Start(const Setup& setup) {
    engine_.reset();
    auto plan = PlanKv(model_->config(), {setup.pool_tokens, 0, setup.dtypes});
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    EngineConfig config;
    config.kv_groups = plan->groups;
    config.max_request_tokens = std::min(setup.max_request, plan->max_request_tokens);
    config.max_batch_tokens = setup.max_batch_tokens;
    config.max_sequences = 8;
    config.prefix_cache = setup.prefix_cache;
    RunnerConfig rc;
    for (const auto& g : plan->groups) rc.group_blocks.push_back(g.num_blocks);
    rc.k_dtype = setup.dtypes.k;
    rc.v_dtype = setup.dtypes.v;
    rc.max_batch_tokens = setup.max_batch_tokens;
    rc.max_logit_rows = 8;
    auto runner = MakeModelRunner(*model_, *ops_, rc);
    ASSERT_TRUE(runner.has_value()) << runner.error().message;
    engine_ = std::move(*Engine::Create(config, std::move(*runner), &clock_));
  }

  // Prompts that share prefixes of several lengths; the last one is longer than Gemma's window.
  std::vector<std::vector<TokenId>> Prompts() const {
    std::mt19937 rng(3);
    std::vector<TokenId> base(600);
    for (TokenId& t : base) t = static_cast<TokenId>(300 + rng() % 20000);
    std::vector<std::vector<TokenId>> prompts;
    for (auto [shared, length] :
         {std::pair{0, 40}, {100, 130}, {100, 160}, {128, 128}, {560, 575}}) {
      std::vector<TokenId> p(base.begin(), base.begin() + shared);
      while (static_cast<int>(p.size()) < length)
        p.push_back(static_cast<TokenId>(300 + rng() % 20000));
      prompts.push_back(std::move(p));
    }
    return prompts;
  }
  static constexpr int kAnswer = 20;

  std::unique_ptr<TokenStream> Send(const std::vector<TokenId>& prompt) {
    Request r;
    r.prompt = prompt;
    r.max_tokens = kAnswer;
    r.sampling.temperature = 0;
    auto stream = engine_->Submit(std::move(r));
    EXPECT_TRUE(stream.has_value()) << stream.error().message;
    return std::move(*stream);
  }
  std::vector<TokenId> Finish(TokenStream& stream) {
    std::vector<TokenId> tokens;
    while (true) {
      engine_->Step();
      for (const TokenEvent& e : stream.Take()) {
        if (e.kind == TokenEvent::Kind::kToken) tokens.push_back(e.token);
        if (!e.last()) continue;
        EXPECT_EQ(e.kind, TokenEvent::Kind::kFinished) << e.error.message;
        return tokens;
      }
    }
  }
  std::vector<std::vector<TokenId>> OneByOne() {
    std::vector<std::vector<TokenId>> out;
    for (const auto& p : Prompts()) out.push_back(Finish(*Send(p)));
    return out;
  }
  std::vector<std::vector<TokenId>> Together() {
    std::vector<std::unique_ptr<TokenStream>> streams;
    for (const auto& p : Prompts()) streams.push_back(Send(p));
    std::vector<std::vector<TokenId>> out;
    for (auto& s : streams) out.push_back(Finish(*s));
    return out;
  }

  void ExpectSameBytes(KvDTypes dtypes) {
    ASSERT_NO_FATAL_FAILURE(Start({.prefix_cache = false, .dtypes = dtypes}));
    const auto alone = OneByOne();
    ASSERT_NO_FATAL_FAILURE(Start({.dtypes = dtypes}));
    EXPECT_EQ(OneByOne(), alone) << "caches shared prefixes";
    EXPECT_EQ(OneByOne(), alone) << "warm";
    EXPECT_GT(engine_->Stats().cached_prompt_tokens, 1000);
    EXPECT_EQ(Together(), alone) << "together, warm";
    ASSERT_NO_FATAL_FAILURE(Start({.max_batch_tokens = 24, .dtypes = dtypes}));
    EXPECT_EQ(Together(), alone) << "together, cold, small chunks";
    // One block more than the longest request.
    ASSERT_NO_FATAL_FAILURE(Start({.pool_tokens = 624, .max_request = 608, .dtypes = dtypes}));
    EXPECT_EQ(Together(), alone) << "small pool";
    EXPECT_EQ(Together(), alone) << "small pool, again";
    EXPECT_GT(engine_->Stats().evictions, 0);
    EXPECT_EQ(engine_->Stats().used_blocks, 0);
  }

  SteadyClock clock_;
  std::unique_ptr<Ops> ops_;
  std::unique_ptr<gguf::GgufFile> file_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(SlowRealModelTest, SmolLM2SaysTheSame) {
  Load("SmolLM2-135M-Instruct.Q4_1.gguf");
  if (IsSkipped()) return;
  ExpectSameBytes({});
}

TEST_F(SlowRealModelTest, SmolLM2SaysTheSameOnQ8Cache) {
  Load("SmolLM2-135M-Instruct.Q4_1.gguf");
  if (IsSkipped()) return;
  ExpectSameBytes({DType::kQ8_0, DType::kQ8_0});
}

TEST_F(SlowRealModelTest, Gemma3SaysTheSameAcrossItsWindow) {
  Load("gemma-3-270m-q4_k_m.gguf");
  if (IsSkipped()) return;
  ExpectSameBytes({});
}

}  // namespace
}  // namespace lb

// A real model in an engine with a host tier, on any backend.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/log.h"
#include "engine/engine.h"
#include "tests/model/tiny_model.h"

namespace lb::test {

struct ScoredAnswer {
  std::vector<TokenId> tokens;
  std::vector<float> logprobs;
  int cached = 0;
};

class TieredEngine {
 public:
  // A pool of 12 blocks, one more than a request of 176 tokens takes.
  TieredEngine(const Model& model, Ops& ops, DType kv, int host_slots) {
    SetLogVerbosity(0);
    EngineConfig config;
    for (const KvGroup& group : model.config().kv_groups) config.kv_groups.push_back({group.window, 12});
    config.host_slots = host_slots;
    config.max_request_tokens = 176;
    config.max_batch_tokens = 64;
    config.max_sequences = 4;
    config.prefix_cache = host_slots > 0;
    RunnerConfig runner;
    runner.group_blocks.assign(config.kv_groups.size(), 12);
    runner.host_slots = host_slots;
    runner.k_dtype = runner.v_dtype = kv;
    runner.max_batch_tokens = config.max_batch_tokens;
    runner.max_logit_rows = config.max_sequences;
    engine_ = std::move(Engine::Create(config, std::move(MakeModelRunner(model, ops, runner)).value(), &clock_)).value();
  }

  ScoredAnswer Ask(int length, int seed) {
    Request r;
    for (int i = 0; i < length; ++i) r.prompt.push_back((i * (37 + seed) + seed * 11) % 80);
    r.max_tokens = 10;
    r.sampling.temperature = 0;
    r.sampling.num_logprobs = 0;
    const auto stream = std::move(engine_->Submit(std::move(r))).value();
    ScoredAnswer answer;
    while (true) {
      engine_->Step();
      const auto sound = engine_->kv().CheckInvariants();
      EXPECT_TRUE(sound.has_value()) << sound.error().message;
      for (const TokenEvent& e : stream->Take()) {
        if (e.kind == TokenEvent::Kind::kToken) {
          answer.tokens.push_back(e.token);
          answer.logprobs.push_back(e.logprob);
        }
        if (!e.last()) continue;
        EXPECT_EQ(e.kind, TokenEvent::Kind::kFinished) << e.error.message;
        answer.cached = e.usage.cached_tokens;
        return answer;
      }
    }
  }
  const Engine& engine() const { return *engine_; }

 private:
  SteadyClock clock_;
  std::unique_ptr<Engine> engine_;
};

// Prompts that push each other out of the pool have, bit for bit, the answers of an engine that computes all of them.
inline void ExpectReloadedIsAsComputed(Ops& ops, DType kv, const char* arch = "llama") {
  TinySpec spec;
  spec.arch = arch;
  spec.layers = 7;  // the tiny gemma3 has one full layer, and windows
  const LoadedModel loaded = LoadTiny(spec, ops);
  TieredEngine tiered(*loaded.model, ops, kv, 40), plain(*loaded.model, ops, kv, 0);
  const std::pair<int, int> prompts[] = {{130, 1}, {97, 2}, {150, 3}, {81, 4}};
  for (int round = 0; round < 3; ++round) {
    for (const auto& [length, seed] : prompts) {
      const ScoredAnswer ours = tiered.Ask(length, seed), theirs = plain.Ask(length, seed);
      EXPECT_EQ(ours.tokens, theirs.tokens) << "round " << round << " prompt " << seed;
      EXPECT_EQ(ours.logprobs, theirs.logprobs) << "round " << round << " prompt " << seed;
      EXPECT_EQ(ours.cached, round == 0 ? 0 : (length - 1) / kv::kBlockTokens * kv::kBlockTokens);
      EXPECT_EQ(theirs.cached, 0);
    }
  }
  const kv::HostStats host = tiered.engine().Stats().host;
  EXPECT_GT(host.loaded, 40);
  EXPECT_EQ(host.evictions, 0);
}

}  // namespace lb::test

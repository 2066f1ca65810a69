// Runs the tests of a plan on an engine, step by step on the calling thread.
#pragma once

#include <memory>
#include <vector>

#include "app/bench/plan.h"
#include "base/clock.h"
#include "engine/engine.h"

namespace lb::app {

class BenchDriver {
 public:
  // Both outlive the driver; nobody else steps the engine. `vocab_size` bounds the prompts' ids.
  BenchDriver(Engine& engine, const Clock& clock, int vocab_size)
      : engine_(engine), clock_(clock), vocab_size_(vocab_size) {}

  // A short prompt and answer, so that memory is touched and the engine knows what its steps cost.
  Result<void> WarmUp();
  // Tokens per second of every repetition. kUnavailable when a sequence had to pause: the pool was
  // too small, and the figure would be worthless.
  Result<std::vector<double>> Run(const BenchTest& test, const BenchOptions& options);

 private:
  using Streams = std::vector<std::unique_ptr<TokenStream>>;

  Result<std::unique_ptr<TokenStream>> Submit(int prompt_tokens, int64_t answer_tokens);
  // One step; how many tokens all streams got in it.
  Result<int> Step(Streams& streams, std::vector<int>* tokens_of_stream);
  Result<double> Prefill(int tokens);
  Result<std::vector<double>> Decode(const BenchTest& test, const BenchOptions& options);

  Engine& engine_;
  const Clock& clock_;
  int vocab_size_;
  int64_t next_token_ = 1;  // prompts differ, so that none is found in the cache
};

}  // namespace lb::app

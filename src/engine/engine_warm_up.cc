// What a device chooses, loads or measures when it first sees a shape is done before there is anybody to wait for it.
#include <algorithm>
#include <vector>

#include "base/log.h"
#include "engine/engine.h"

namespace lb {

Result<void> Engine::WarmUp() {
  if (!config_.generates) return {};
  const int64_t start_us = clock_->NowMicros();
  auto sequence = kv_->NewSequence(0, false);
  int64_t most = std::min<int64_t>(limits_.max_request_tokens, limits_.max_batch_tokens);
  const std::vector<TokenId> tokens(static_cast<size_t>(most), 0);
  kv_->Attach(*sequence, tokens, {});
  most = kv_->Reservable(*sequence, most);
  if (most <= 0 || !kv_->Reserve(*sequence, most)) return {};
  const auto run = [&](int64_t count) -> Result<void> {
    const BatchItem item{sequence.get(), 0, std::span(tokens).first(static_cast<size_t>(count)), {}, true};
    LB_RETURN_IF_ERROR(runner_->Run(batch_builder_.Build(std::span(&item, 1))));
    return {};
  };
  // The sizes of chunks, the largest first: what it allocates the others use.
  LB_RETURN_IF_ERROR(run(most));
  for (int64_t count = (most - 1) / ChunkPolicy::kShape; count > 0; --count) LB_RETURN_IF_ERROR(run(count * ChunkPolicy::kShape));
  LB_RETURN_IF_ERROR(run(1));
  // What a token of a prompt takes once a shape is known, so that the first prompt is not cut into small ones to find out.
  LB_RETURN_IF_ERROR(run(most));
  const int64_t known_us = clock_->NowMicros();
  LB_RETURN_IF_ERROR(run(most));
  chunk_policy_.Observe(0, static_cast<int>(most), clock_->NowMicros() - known_us);
  LogVerbose(1, "warmed up in {:.1f} s", static_cast<double>(clock_->NowMicros() - start_us) * 1e-6);
  return {};
}

}  // namespace lb

// Requests for vectors: a prompt that is computed and not answered.
#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/engine.h"

namespace lb {

Result<void> Engine::CheckKind(const Request& request) const {
  if (request.embed && !config_.pooling) {
    return lb::Fail(ErrorCode::kUnsupported,
                    "this server makes no embeddings: start it with --embeddings");
  }
  if (!request.embed && !config_.generates) {
    return lb::Fail(ErrorCode::kUnsupported,
                    "this model makes vectors of texts and generates none: ask for embeddings{}",
                    config_.pooling == Pooling::kRank ? " or reranking" : "");
  }
  return CheckAdapters(request);
}

Result<void> Engine::CheckAdapters(const Request& request) const {
  int last = -1;
  for (const AdapterUse& use : request.adapters) {
    if (use.adapter <= last || use.adapter >= config_.num_adapters || !std::isfinite(use.scale) ||
        use.scale == 0) {
      return lb::Fail(ErrorCode::kInvalidArgument,
                      "adapter {} of scale {}: there are {}, to be named in order and once, with a "
                      "scale that is not 0",
                      use.adapter, use.scale, config_.num_adapters);
    }
    last = use.adapter;
  }
  return {};
}

// The states of the text's tokens from `first` on, as far as they were asked for; how many.
size_t Engine::TakeStates(Sequence& s, int64_t first, int num_tokens,
                          std::span<const float> states) {
  const auto width = static_cast<size_t>(runner_->width());
  size_t taken = 0;
  for (int64_t p = first; p < first + num_tokens; ++p) {
    if (!Pooler::Needs(*config_.pooling, config_.generates, p, s.num_tokens())) continue;
    s.pooler.Add(*config_.pooling, p, states.subspan(width * taken++, width));
  }
  return taken;
}

void Engine::FinishVectors(std::span<Sequence* const> done) {
  if (done.empty()) return;
  std::vector<std::vector<float>> vectors;
  for (Sequence* s : done) vectors.push_back(s->pooler.Take(*config_.pooling));
  if (*config_.pooling != Pooling::kNone && runner_->has_head(*config_.pooling)) {
    std::vector<float> pooled;
    for (const auto& v : vectors) pooled.insert(pooled.end(), v.begin(), v.end());
    const auto out = runner_->Head(*config_.pooling, pooled, static_cast<int>(done.size()));
    if (!out.has_value()) {
      for (Sequence* s : done) Fail(*s, out.error());
      return;
    }
    const size_t width = out->size() / done.size();
    for (size_t i = 0; i < done.size(); ++i) {
      const auto row = out->subspan(width * i, width);
      vectors[i].assign(row.begin(), row.end());
    }
  }
  const int64_t now_us = clock_->NowMicros();
  for (size_t i = 0; i < done.size(); ++i) {
    Sequence& s = *done[i];
    if (!std::ranges::all_of(vectors[i], [](float x) { return std::isfinite(x); })) {
      Fail(s, Error{ErrorCode::kComputeFault, "the model gave values that are not numbers", {}});
      continue;
    }
    s.usage.prefill_ms = static_cast<double>(now_us - s.admitted_us) / 1000;
    s.vector = std::move(vectors[i]);
    Finish(s, FinishReason::kStop, -1);
  }
}

}  // namespace lb

// The logits of a tiny model with adapters on any backend, computed in chunks.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "model/solo_runner.h"
#include "tests/model/tiny_adapter.h"
#include "tests/model/tiny_model.h"

namespace lb::test {

// Of the first `count` tokens of one text, at most 96, read `chunk` at a time; with adapters of ranks 5 and 16 where `uses` has them.
inline std::vector<float> ChunkedLogits(Ops& ops, const TinySpec& spec, int count, int chunk, const std::vector<AdapterUse>& uses = {}) {
  const auto loaded = LoadTiny(spec, ops);
  std::vector<std::vector<uint8_t>> files;
  for (const int rank : {5, 16}) {
    files.push_back(MakeTinyAdapter({.model = spec, .rank = rank, .seed = 7}));
    auto adapter = ParseAdapter(files.back(), *loaded.model, ops);
    CHECK(adapter.has_value());
    loaded.model->AddAdapter(std::move(*adapter));
  }
  SoloOptions options;
  options.max_context = 96;
  options.max_batch_tokens = options.max_logit_rows = 2 * count;
  auto runner = SoloRunner::Create(*loaded.model, ops, options);
  CHECK(runner.has_value());
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 37 + 11) % spec.vocab);
  std::vector<float> all;
  for (int from = 0; from < count; from += chunk) {
    const int now = std::min(chunk, count - from);
    std::vector<int32_t> rows(static_cast<size_t>(now));
    std::iota(rows.begin(), rows.end(), 0);
    const SoloPiece piece{0, std::span(tokens).subspan(static_cast<size_t>(from), static_cast<size_t>(now)), rows, uses};
    const auto logits = (*runner)->Run(std::span(&piece, 1));
    CHECK(logits.has_value());
    all.insert(all.end(), logits->begin(), logits->end());
  }
  return all;
}

}  // namespace lb::test

// Perplexity of a text, measured as llama.cpp's tool does, so that the numbers compare.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/result.h"
#include "app/flags.h"
#include "kernels/ops.h"
#include "model/model.h"

namespace lb::app {

struct PerplexityOptions {
  int chunk_tokens = 512;  // the text is cut into pieces of this many tokens, each run on its own
  int first_scored = -1;   // logits from this position on are scored; -1: chunk_tokens / 2
  int64_t max_tokens = 0;  // of the text; 0: all
  int batch_tokens = 512;  // tokens in one forward pass
  DType k_dtype = DType::kF16, v_dtype = DType::kF16;
  std::vector<AdapterUse> adapters;  // of the model's
  // Every chunk's first token is replaced by this id, when >= 0 (BOS of a model that adds one).
  int32_t bos = -1;
  // Logits of the scored positions go here, when set. Format: 8 bytes "LBLOGIT1", int32 vocab_size,
  // int32 bytes per value (2: f16, 4: f32), then rows of vocab_size values, all little-endian.
  std::string dump_path;
  bool dump_f16 = false;
};

struct PerplexityReport {
  double perplexity = 0;
  double mean_nll = 0;    // nats per scored token
  double stderr_nll = 0;  // standard error of that mean
  int64_t scored_tokens = 0;
  int chunks = 0;
  double seconds = 0;  // in forward passes
  int64_t tokens_run = 0;
};

// Called after each chunk with what is known so far.
using PerplexityProgress = std::function<void(const PerplexityReport& so_far)>;

// Scores `tokens` with a model already loaded. Only whole chunks count; kInvalidArgument when there
// is none. The row at position j predicts token j + 1; a chunk's last token predicts nothing.
Result<PerplexityReport> ScoreTokens(const Model& model, Ops& ops, std::span<const int32_t> tokens,
                                     const PerplexityOptions& options,
                                     const PerplexityProgress& progress);

// The same from files, as the flags name them: opens the GGUF, tokenizes the text (BOS as the model
// wants) and scores it; -c is the tokens of a chunk, -b those of a forward pass, -ctk and -ctv the cache's types.
Result<PerplexityReport> RunPerplexity(const Flags& flags, Ops& ops, PerplexityOptions options,
                                       const PerplexityProgress& progress);

// A whole file as bytes.
Result<std::string> ReadTextFile(const std::string& path);

}  // namespace lb::app

// The replies of the embedding and rerank endpoints.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/vector_job.h"

namespace lb::api {

// What is done with each vector, and what stands around them.
struct EmbeddingReply {
  std::string model;
  size_t num_texts = 0;
  int width = 0;       // values of one vector as the engine gives it
  int dimensions = 0;  // of those the first so many are kept
  int normalize = 2;
  bool per_token = false;  // the engine gives one for each token; they are not normalised
  bool base64 = false;
  int64_t prompt_tokens = 0;
};

enum class EmbeddingForm {
  kOpenAi,  // {"object":"list","data":[{"object":"embedding","index":0,"embedding":[...]}],"usage"}
  kNative,  // llama.cpp's: [{"index":0,"embedding":[[...]]}], a row for each token or one for all
  kOllama,  // {"model":...,"embeddings":[[...]],"total_duration":...}
  kOllamaOne,  // its older one: {"embedding":[...]}
};
std::unique_ptr<VectorWriter> MakeEmbeddingWriter(EmbeddingReply reply, EmbeddingForm form);

struct RerankReply {
  std::string model;
  size_t num_texts = 0;
  size_t top_n = 0;
  bool normalize = true;
  bool tei = false;
  std::vector<std::string> documents;  // empty: they are not returned
  int64_t prompt_tokens = 0;
};

// Jina's: {"model":...,"results":[{"index":2,"relevance_score":0.9,"document":{"text":...}}],...},
// or TEI's: [{"index":2,"score":0.9,"text":...}]. The best first; of equal scores the one that came first.
std::unique_ptr<VectorWriter> MakeRerankWriter(RerankReply reply);

}  // namespace lb::api

// The bodies of the embedding and rerank endpoints, typed.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/completion_request.h"
#include "api/json_reader.h"

namespace lb::api {

struct EmbeddingRequest {
  std::vector<MixedPrompt> inputs;  // at least one, of one part at least
  bool base64 = false;              // vectors as base64 of little-endian f32
  std::optional<int> dimensions;    // the first so many values, normalised again
  int normalize = 2;                // llama.cpp's embd_normalize; see Normalize
  bool truncate = false;            // a text that is too long is cut, and no error
  std::string model;                // as sent, "" if it was not
};

// `input` (llama.cpp: or `content`) is a text, a list of texts, a list of token ids, or a list of
// such lists; with llama.cpp a list of ids may hold texts, too. kInvalidArgument names the field.
Result<EmbeddingRequest> ParseEmbeddingRequest(const boost::json::object& body, int num_tokens);

struct RerankRequest {
  std::string query;
  std::vector<std::string> documents;  // at least one
  std::optional<int> top_n;            // of the best; all when unset
  bool return_documents = true;
  bool tei = false;       // asked in the form of Text Embeddings Inference, which has a reply of its own
  bool normalize = true;  // scores as probabilities: logistic of what the model gives
  bool truncate = false;  // a document that is too long is cut
  std::string model;
};

// `documents` are texts or objects with a `text`; or `texts` with `return_text` and `raw_scores` (TEI).
Result<RerankRequest> ParseRerankRequest(const boost::json::object& body);

// Scales a vector as llama.cpp's embd_normalize says: -1 not at all, 0 so that the largest value is
// 32760, p > 0 by the p-norm (2: Euclidean). A zero vector stays.
void Normalize(int kind, std::vector<float>* vector);

}  // namespace lb::api

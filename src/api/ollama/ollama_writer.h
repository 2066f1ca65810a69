// Ollama's replies: one object, or one line of JSON for each piece and one for the end.
#pragma once

#include <memory>
#include <string>

#include "api/reply_writer.h"

namespace lb::api {

struct OllamaReply {
  std::string model;  // answered back
  bool chat = true;   // a message; else `response`
  bool with_logprobs = false;
  // done_reason of a reply without an answer: it was about the model only.
  std::string empty_reason;
};

// `tokenizer` must outlive the writer. A reply may have no answer at all: see OllamaReply.
std::unique_ptr<ReplyWriter> MakeOllamaWriter(const text::Tokenizer& tokenizer, OllamaReply reply);

// Now, or another point of time in seconds since 1970, as Ollama writes it (RFC 3339, UTC).
std::string OllamaTime();
std::string OllamaTime(int64_t unix_seconds);

}  // namespace lb::api

// The bodies of Ollama's /api/chat and /api/generate, as requests of ours.
#pragma once

#include <boost/json/object.hpp>
#include <optional>

#include "api/chat_request.h"
#include "api/completion_request.h"

namespace lb::api {

struct OllamaRequest {
  ChatRequest chat;
  // Instead of the messages: a prompt that no template goes around (`raw`), or a gap (`suffix`).
  // Its options are those of `chat`.
  std::optional<CompletionRequest> text;
  bool wants_thoughts = false;  // `think` asks for them
  // No message or prompt: it is about loading the model, or with a `keep_alive` of 0 about
  // unloading it, of which nothing happens here.
  bool empty = false, unload = false;
};

// Every wrong type or range is kInvalidArgument with `param`; what cannot be done is kUnsupported;
// unknown fields are ignored. Of `options` those about the process (num_ctx, num_gpu,
// num_thread...) change nothing.
Result<OllamaRequest> ParseOllamaChat(const boost::json::object& body,
                                      const GenerationDefaults& defaults,
                                      const text::Tokenizer& tokenizer);
Result<OllamaRequest> ParseOllamaGenerate(const boost::json::object& body,
                                          const GenerationDefaults& defaults,
                                          const text::Tokenizer& tokenizer);

}  // namespace lb::api

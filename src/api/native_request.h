// The bodies of llama.cpp's own endpoints, typed: /completion and /infill.
#pragma once

#include <string>
#include <vector>

#include "api/completion_request.h"

namespace lb::api {

struct NativeOptions {
  int n_probs = 0;
  bool return_tokens = false;
  std::vector<std::string> response_fields;  // empty: all
};

struct NativeRequest {
  GenerationOptions options;
  NativeOptions native;
  PromptList prompt;
};

struct InfillRequest {
  struct File {
    std::string name, text;
  };
  GenerationOptions options;
  NativeOptions native;
  std::string prefix, suffix;  // what stands before and after the gap
  PromptList prompt;           // how the middle begins; one, or none
  std::vector<File> extra;     // context from other files
};

// Every wrong type or range is kInvalidArgument with `param`; unknown fields are ignored, and so
// are those that speak of slots (id_slot, n_discard, min_keep, n_indent, n_cache_reuse).
Result<NativeRequest> ParseNativeRequest(const boost::json::object& body,
                                         const GenerationDefaults& defaults,
                                         const text::Tokenizer& tokenizer);
Result<InfillRequest> ParseInfillRequest(const boost::json::object& body,
                                         const GenerationDefaults& defaults,
                                         const text::Tokenizer& tokenizer);

}  // namespace lb::api

// The body of POST /v1/completions, typed.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <variant>
#include <vector>

#include "api/options.h"

namespace lb::api {

// A prompt is text and token ids in any order (llama.cpp's mixed form); OpenAI's text and token
// prompts are the cases of one part.
using PromptPart = std::variant<std::string, std::vector<TokenId>>;
using MixedPrompt = std::vector<PromptPart>;

struct PromptList {
  std::vector<MixedPrompt> prompts;  // at least one
  bool many = false;                 // it was written as a list of prompts
  bool parse_special = true;         // spellings of control tokens are those tokens
};

// `prompt` in all its forms: text, token ids, both mixed, llama.cpp's {"prompt_string": text}, or a
// list of these.
Result<PromptList> ParsePrompts(const Fields& fields, int num_tokens);
// n times prompts, within the limit.
Result<void> CheckChoices(size_t prompts, int n);

struct CompletionRequest {
  GenerationOptions options;
  PromptList prompt;
  int best_of = 1;     // answers to make of each prompt; options.n of them are shown
  bool echo = false;   // answers begin with the prompt's text
  std::string suffix;  // "": none
};

// Every wrong type or range is kInvalidArgument with `param`; unknown fields are ignored.
Result<CompletionRequest> ParseCompletionRequest(const boost::json::object& body,
                                                 const GenerationDefaults& defaults,
                                                 const text::Tokenizer& tokenizer);

}  // namespace lb::api

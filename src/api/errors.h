// The one table from our errors to what a client sees: HTTP status, OpenAI error type and code.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace lb::api {

struct ErrorView {
  int status = 500;
  std::string_view type;     // llama.cpp's "type", which is OpenAI's for most
  std::string_view code;     // OpenAI's "code"; "" when the status says it all
  bool retry_after = false;  // worth a Retry-After header
};

ErrorView View(ErrorCode code);

// Whose clients read an error.
enum class ErrorForm {
  kOpenAi,     // {"error":{"message":...,"type":...,"param":...,"code":...}}
  kAnthropic,  // {"type":"error","error":{"type":...,"message":...}}, the field as "param" if known
  kOllama,     // {"error":message}
};

// OpenAI's `code` is the string of the table or else the HTTP status as a number, as llama.cpp and
// llama-box send it. A prompt that is too long has llama.cpp's n_prompt_tokens and n_ctx besides.
// Anthropic's `type` follows from the status.
std::string ErrorJson(const Error& error, ErrorForm form = ErrorForm::kOpenAi);
// The same for what never became an Error of ours: the front door's own answers.
std::string ErrorJson(int status, std::string_view type, std::string_view code,
                      std::string_view message, ErrorForm form = ErrorForm::kOpenAi);

}  // namespace lb::api

// Log probabilities as a list of tokens, which several APIs have.
#pragma once

#include <vector>

#include "api/answer.h"
#include "api/json_writer.h"
#include "text/tokenizer.h"

namespace lb::api {

// [{"token", "logprob", "bytes", "top_logprobs": [{"token", "logprob", "bytes"}]}]. Joined, `bytes`
// are those of the text; a control token has none.
void WriteTokenScores(const std::vector<TokenScore>& scores, const text::Tokenizer& tokenizer,
                      JsonWriter* w);

}  // namespace lb::api

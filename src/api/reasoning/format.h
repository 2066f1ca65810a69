// How a model marks what it thinks, found out from its chat template.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/reasoning/splitter.h"
#include "text/tokenizer.h"

namespace lb::api {

// What a client or operator asks for (`reasoning_format`).
enum class ReasoningMode {
  kAuto,      // thoughts go to reasoning_content when the template has marks for them
  kNone,      // everything is content, marks included
  kDeepSeek,  // as kAuto; where the template tells nothing, <think> and </think> are the marks
};

struct ReasoningFormat {
  enum class Kind { kNone, kTags, kChannels };
  Kind kind = Kind::kNone;
  std::string open, close;     // what begins a thought, and what ends it
  std::string forced;          // what ends it from outside, and lets the content begin
  std::vector<TokenId> shown;  // marks that are control tokens: without them nothing is seen
};

// `template_source` "": no template.
ReasoningFormat FindReasoningFormat(std::string_view template_source,
                                    const text::Tokenizer& tokenizer);
// The format that stands in for none under kDeepSeek.
ReasoningFormat DefaultReasoningFormat(const text::Tokenizer& tokenizer);

// What the rendered prompt has begun of the answer: for tags the opening tag or "", for channels
// what stands behind the last "<|start|>assistant".
std::string OpenedByPrompt(const ReasoningFormat& format, std::string_view prompt);

// Null for Kind::kNone. `opened` as above. `keep_calls`: see Channels.
std::unique_ptr<ReasoningSplitter> MakeSplitter(const ReasoningFormat& format,
                                                std::string_view opened, bool keep_calls = false);

}  // namespace lb::api

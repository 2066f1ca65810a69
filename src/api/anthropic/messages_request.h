// The body of Anthropic's POST /v1/messages (and its count_tokens), as a chat request of ours.
#pragma once

#include <boost/json/object.hpp>

#include "api/chat_request.h"

namespace lb::api {

// Every wrong type or range is kInvalidArgument with `param`; what cannot be done (images,
// documents, tools that a server runs) is kUnsupported; unknown fields, and those about caches and
// billing, are ignored. Blocks of text are joined by newlines; each tool_result becomes a message
// of its own, in its place.
Result<ChatRequest> ParseMessagesRequest(const boost::json::object& body,
                                         const GenerationDefaults& defaults,
                                         const text::Tokenizer& tokenizer);

}  // namespace lb::api

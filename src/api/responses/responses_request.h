// The body of OpenAI's POST /v1/responses, as a chat request of ours.
#pragma once

#include <boost/json/object.hpp>

#include "api/chat_request.h"

namespace lb::api {

struct ResponsesRequest {
  ChatRequest chat;
  // What the reply repeats of the request: instructions, tools, metadata and the like.
  boost::json::object echo;
};

// Every wrong type or range is kInvalidArgument with `param`. What needs memory of earlier requests
// (previous_response_id, conversation, item_reference, store, background) or tools that a server
// runs is kUnsupported. Unknown fields are ignored.
Result<ResponsesRequest> ParseResponsesRequest(const boost::json::object& body,
                                               const GenerationDefaults& defaults,
                                               const text::Tokenizer& tokenizer);

}  // namespace lb::api

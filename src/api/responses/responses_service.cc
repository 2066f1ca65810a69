// Service: OpenAI's responses.
#include <utility>

#include "api/responses/responses_request.h"
#include "api/responses/responses_writer.h"
#include "api/service.h"

namespace lb::api {

Service::Reply Service::Responses(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(ResponsesRequest request,
                      ParseResponsesRequest(object, parts_.defaults, *parts_.tokenizer));
  const GenerationOptions& options = request.chat.options;
  ResponsesReply reply;
  reply.model = options.model.empty() ? parts_.card.alias : options.model;
  reply.echo = std::move(request.echo);
  reply.with_logprobs = options.with_logprobs;
  reply.timings_per_token = options.timings_per_token;
  auto generation =
      AnswerChat(request.chat, caller, MakeResponsesWriter(*parts_.tokenizer, std::move(reply)));
  if (!generation.has_value() && generation.error().param == "messages") {
    Error error = generation.error();
    error.param = "input";
    return error;
  }
  return generation;
}

Result<std::string> Service::CountResponsesTokens(std::string_view body) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(const ResponsesRequest request,
                      ParseResponsesRequest(object, parts_.defaults, *parts_.tokenizer));
  return CountTokens(request.chat);
}

}  // namespace lb::api

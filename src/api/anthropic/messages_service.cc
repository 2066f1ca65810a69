// Service: Anthropic's endpoints.
#include <utility>

#include "api/anthropic/messages_request.h"
#include "api/anthropic/messages_writer.h"
#include "api/json_writer.h"
#include "api/service.h"

namespace lb::api {

Service::Reply Service::Messages(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(const ChatRequest request,
                      ParseMessagesRequest(object, parts_.defaults, *parts_.tokenizer));
  MessagesReply reply;
  reply.model = request.options.model.empty() ? parts_.card.alias : request.options.model;
  reply.max_tokens = request.options.max_tokens;
  return AnswerChat(request, caller, MakeMessagesWriter(std::move(reply)));
}

Result<std::string> Service::CountMessagesTokens(std::string_view body) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(const ChatRequest request,
                      ParseMessagesRequest(object, parts_.defaults, *parts_.tokenizer));
  LB_ASSIGN_OR_RETURN(const ChatPrompt prompt, RenderChat(request));
  JsonWriter w;
  w.BeginObject().Key("input_tokens").Int(static_cast<int64_t>(prompt.ids.size()));
  return w.EndObject().Take();
}

}  // namespace lb::api

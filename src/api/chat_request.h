// The body of POST /v1/chat/completions, typed.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/options.h"
#include "api/tools/tool_set.h"

namespace lb::api {

// One message. Content parts are joined by newlines; null, "" and missing content are the same.
struct ChatMessage {
  std::string role;  // system, developer, user, assistant, tool
  std::string content;
  std::string name;
  std::string tool_call_id;
  std::string reasoning;          // reasoning_content of an earlier answer
  boost::json::value tool_calls;  // null, or the list as sent, each a checked {id?, function{name}}
};

struct ChatRequest {
  GenerationOptions options;
  std::vector<ChatMessage> messages;  // at least one
  ToolOptions tools;
  bool parse_tool_calls = true;       // else they stay in the content as the model wrote them
  boost::json::value documents;       // null or a list
  boost::json::object template_args;  // chat_template_kwargs and its short forms
  bool add_generation_prompt = true;
  // The answer goes on where the last message, an assistant's, ends.
  bool continue_final_message = false;
  ReasoningMode reasoning = ReasoningMode::kAuto;
  int64_t thinking_budget = -1;  // tokens of thoughts; -1: no limit; 0: none, please
};

// Every wrong type or range is kInvalidArgument with `param`; unknown fields are ignored.
Result<ChatRequest> ParseChatRequest(const boost::json::object& body,
                                     const GenerationDefaults& defaults,
                                     const text::Tokenizer& tokenizer);

// What other APIs' requests have in common with this one.

// What an empty request would have: no messages, the operator's defaults; its options are unset.
ChatRequest ChatRequestOf(const GenerationDefaults& defaults);
// The text of `content`: a string, or a list of {type: "text", text: ...} and plain strings.
Result<std::string> ParseContent(const Fields& message, std::string_view key = "content");
// One of `messages`.
Result<ChatMessage> ParseMessage(const boost::json::value& value, size_t index);
// Where thoughts go, how long they may be, and what the template is told: by OpenAI's names.
Result<void> ParseThoughts(const Fields& fields, const GenerationDefaults& defaults,
                           ChatRequest* request);
// Tells the template whether and how hard to think; after template_args and thinking_budget are
// there. `effort` "none" is thinking off.
void TellThinking(std::optional<bool> thinking, const std::optional<std::string>& effort,
                  const GenerationDefaults& defaults, ChatRequest* request);
// The last message is an assistant's with some text, which an answer can go on with.
bool EndsInAnswer(const ChatRequest& request);

}  // namespace lb::api

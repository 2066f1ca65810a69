#include "api/chat_request.h"

#include <algorithm>
#include <array>
#include <limits>

namespace lb::api {
namespace json = boost::json;
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant",
                                                    "tool"};

}  // namespace

Result<std::string> ParseContent(const Fields& message, std::string_view key) {
  const json::value* value = message.Find(key);
  if (value == nullptr) return std::string();
  if (value->is_string()) return std::string(value->get_string());
  if (!value->is_array()) return message.Bad(key, "a string or a list of parts");
  std::string text;
  const json::array& parts = value->get_array();
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string at = fmt::format("{}[{}]", message.Name(key), i);
    if (i > 0) text += '\n';
    if (parts[i].is_string()) {
      text += parts[i].get_string();
      continue;
    }
    LB_ASSIGN_OR_RETURN(const Fields part, ObjectAt(parts[i], at));
    LB_ASSIGN_OR_RETURN(const auto type, part.String("type"));
    // "refusal" is what an assistant's own earlier answer may hold.
    const bool refusal = type == "refusal";
    if (type == "image_url" || type == "input_image" || type == "input_audio" ||
        type == "video_url" || type == "file" || type == "input_file") {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("{}.type: this model reads text, not {}", at, *type), at + ".type"};
    }
    if (type != "text" && type != "input_text" && type != "output_text" && !refusal) {
      return part.Bad("type", "\"text\" (this model reads nothing else)");
    }
    LB_ASSIGN_OR_RETURN(const auto words, part.String(refusal ? "refusal" : "text"));
    if (!words) return part.Bad(refusal ? "refusal" : "text", "a string");
    text += *words;
  }
  return text;
}

namespace {

// Checks what templates rely on; the rest passes as it is.
Result<void> CheckToolCalls(const json::array& calls, const std::string& name) {
  for (size_t i = 0; i < calls.size(); ++i) {
    const std::string at = fmt::format("{}[{}]", name, i);
    LB_ASSIGN_OR_RETURN(const Fields call, ObjectAt(calls[i], at));
    LB_RETURN_IF_ERROR(call.String("id"));
    LB_ASSIGN_OR_RETURN(const auto* function, call.Object("function"));
    if (function == nullptr) return call.Bad("function", "an object");
    const Fields inner(*function, at + ".function.");
    LB_RETURN_IF_ERROR(inner.RequiredString("name"));
    const json::value* arguments = inner.Find("arguments");
    if (arguments != nullptr && !arguments->is_string() && !arguments->is_object()) {
      return inner.Bad("arguments", "a string of JSON or an object");
    }
  }
  return {};
}

}  // namespace

Result<ChatMessage> ParseMessage(const json::value& value, size_t index) {
  const std::string at = fmt::format("messages[{}]", index);
  LB_ASSIGN_OR_RETURN(const Fields fields, ObjectAt(value, at));
  ChatMessage message;
  LB_RETURN_IF_ERROR(fields.Read("role", &message.role));
  if (message.role == "function") message.role = "tool";  // its old name
  if (std::find(kRoles.begin(), kRoles.end(), message.role) == kRoles.end()) {
    return fields.Bad("role", "one of system, developer, user, assistant, tool");
  }
  LB_ASSIGN_OR_RETURN(message.content, ParseContent(fields));
  LB_RETURN_IF_ERROR(fields.Read("name", &message.name));
  LB_RETURN_IF_ERROR(fields.Read("tool_call_id", &message.tool_call_id));
  LB_RETURN_IF_ERROR(fields.Read("reasoning_content", &message.reasoning));
  LB_ASSIGN_OR_RETURN(const auto* calls, fields.Array("tool_calls"));
  if (calls != nullptr && !calls->empty()) {
    LB_RETURN_IF_ERROR(CheckToolCalls(*calls, fields.Name("tool_calls")));
    message.tool_calls = *calls;
  }
  return message;
}

namespace {

// chat_template_kwargs, and the fields that are short for one of its entries.
Result<void> ParseTemplateArgs(const Fields& fields, const GenerationDefaults& defaults,
                               ChatRequest* request) {
  LB_ASSIGN_OR_RETURN(const auto* kwargs, fields.Object("chat_template_kwargs"));
  if (kwargs != nullptr) {
    for (const auto& [key, value] : *kwargs) request->template_args[key] = value;
  }
  LB_ASSIGN_OR_RETURN(auto effort, fields.String("reasoning_effort"));
  // OpenAI's newer form of the same.
  LB_ASSIGN_OR_RETURN(const auto* reasoning, fields.Object("reasoning"));
  if (reasoning != nullptr && !effort) {
    LB_ASSIGN_OR_RETURN(effort, Fields(*reasoning, "reasoning.").String("effort"));
  }
  LB_ASSIGN_OR_RETURN(const auto thinking, fields.Bool("enable_thinking"));
  TellThinking(thinking, effort, defaults, request);
  return {};
}

Result<void> ParseReasoning(const Fields& fields, ChatRequest* request) {
  std::string format;
  LB_RETURN_IF_ERROR(fields.Read("reasoning_format", &format));
  if (format == "auto") {
    request->reasoning = ReasoningMode::kAuto;
  } else if (format == "none") {
    request->reasoning = ReasoningMode::kNone;
  } else if (format == "deepseek") {
    request->reasoning = ReasoningMode::kDeepSeek;
  } else if (fields.Find("reasoning_format") != nullptr) {
    return fields.Bad("reasoning_format", "\"auto\", \"none\" or \"deepseek\"");
  }
  LB_ASSIGN_OR_RETURN(const auto in_content, fields.Bool("reasoning_in_content"));
  if (in_content == true) request->reasoning = ReasoningMode::kNone;
  for (const char* name : {"thinking_budget", "reasoning_budget", "thinking_budget_tokens"}) {
    LB_ASSIGN_OR_RETURN(const auto budget,
                        fields.Int(name, -1, std::numeric_limits<int32_t>::max()));
    if (!budget) continue;
    request->thinking_budget = *budget;
    break;
  }
  return {};
}

// Whether the answer begins a message of its own or goes on with the last one. As with llama.cpp,
// an assistant's message at the end is one to go on with, unless the request says otherwise.
Result<void> ParseContinuation(const Fields& fields, ChatRequest* request) {
  LB_ASSIGN_OR_RETURN(const auto begin, fields.Bool("add_generation_prompt"));
  LB_ASSIGN_OR_RETURN(const auto go_on, fields.Bool("continue_final_message"));
  const bool can = EndsInAnswer(*request);
  if (go_on == true && begin == true) {
    return BadField("continue_final_message",
                    "continue_final_message and add_generation_prompt cannot both be true");
  }
  if (go_on == true && !can) {
    return BadField("continue_final_message",
                    "continue_final_message needs a last message of the assistant with some text");
  }
  request->continue_final_message = go_on.value_or(can && !begin);
  request->add_generation_prompt = begin.value_or(true);
  return {};
}

Result<void> ParseLogprobs(const Fields& fields, GenerationOptions* options) {
  LB_RETURN_IF_ERROR(fields.Read("logprobs", &options->with_logprobs));
  int top = 0;
  LB_RETURN_IF_ERROR(fields.Read("top_logprobs", &top, 0, kMaxChatLogprobs));
  if (top > 0 && !options->with_logprobs) {
    return BadField("top_logprobs", "top_logprobs needs logprobs to be true");
  }
  if (options->with_logprobs) options->sampling.num_logprobs = top;
  return {};
}

}  // namespace

ChatRequest ChatRequestOf(const GenerationDefaults& defaults) {
  ChatRequest request;
  request.template_args = defaults.template_args;
  request.reasoning = defaults.reasoning;
  request.thinking_budget = defaults.thinking_budget;
  return request;
}

Result<void> ParseThoughts(const Fields& fields, const GenerationDefaults& defaults,
                           ChatRequest* request) {
  LB_RETURN_IF_ERROR(ParseReasoning(fields, request));
  return ParseTemplateArgs(fields, defaults, request);
}

void TellThinking(std::optional<bool> thinking, const std::optional<std::string>& effort,
                  const GenerationDefaults& defaults, ChatRequest* request) {
  json::object& args = request->template_args;
  if (effort && *effort == "none") {
    if (!thinking) thinking = false;
  } else if (effort && !args.contains("reasoning_effort")) {
    args["reasoning_effort"] = *effort;
  }
  if (request->thinking_budget == 0 && !thinking) thinking = false;
  // Always said, since templates disagree on what silence means; under both names that they use.
  const bool given = args.contains("enable_thinking");
  if (thinking || !given) {
    args["enable_thinking"] = thinking.value_or(defaults.enable_thinking.value_or(true));
  }
  if (!args.contains("thinking")) args["thinking"] = args["enable_thinking"];
  const json::value& enabled = args["enable_thinking"];
  if (enabled.is_bool() && !enabled.get_bool()) {
    request->thinking_budget = 0;
  } else if (request->thinking_budget > 0 && !args.contains("thinking_budget")) {
    args["thinking_budget"] = request->thinking_budget;
  }
}

bool EndsInAnswer(const ChatRequest& request) {
  const ChatMessage& last = request.messages.back();
  return last.role == "assistant" && last.tool_calls.is_null() &&
         !(last.content.empty() && last.reasoning.empty());
}

Result<ChatRequest> ParseChatRequest(const json::object& body, const GenerationDefaults& defaults,
                                     const text::Tokenizer& tokenizer) {
  const Fields fields(body);
  ChatRequest request = ChatRequestOf(defaults);
  LB_ASSIGN_OR_RETURN(request.options, ParseOptions(fields, defaults, tokenizer, Dialect::kOpenAi));
  LB_RETURN_IF_ERROR(ParseLogprobs(fields, &request.options));
  LB_ASSIGN_OR_RETURN(const auto* messages, fields.Array("messages"));
  if (messages == nullptr || messages->empty()) {
    return fields.Bad("messages", "a list of at least one message");
  }
  request.messages.reserve(messages->size());
  for (size_t i = 0; i < messages->size(); ++i) {
    LB_ASSIGN_OR_RETURN(ChatMessage message, ParseMessage((*messages)[i], i));
    request.messages.push_back(std::move(message));
  }
  LB_ASSIGN_OR_RETURN(request.tools, ParseTools(fields));
  LB_RETURN_IF_ERROR(fields.Read("parse_tool_calls", &request.parse_tool_calls));
  LB_ASSIGN_OR_RETURN(const auto* documents, fields.Array("documents"));
  if (documents != nullptr) request.documents = *documents;
  LB_RETURN_IF_ERROR(ParseThoughts(fields, defaults, &request));
  LB_RETURN_IF_ERROR(ParseContinuation(fields, &request));
  return request;
}

}  // namespace lb::api

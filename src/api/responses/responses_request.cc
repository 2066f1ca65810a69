#include "api/responses/responses_request.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "api/constraint_fields.h"
#include "base/printable.h"

namespace lb::api {
namespace json = boost::json;
namespace {

Error Unsupported(const std::string& field, std::string_view why) {
  return Error{ErrorCode::kUnsupported, fmt::format("{}: {}", field, why), field};
}

// The texts of a list of {type, text}, joined by newlines.
Result<std::string> JoinTexts(const Fields& item, std::string_view key) {
  LB_ASSIGN_OR_RETURN(const auto* parts, item.Array(key));
  std::string text;
  if (parts == nullptr) return text;
  for (size_t i = 0; i < parts->size(); ++i) {
    const std::string at = fmt::format("{}[{}]", item.Name(key), i);
    LB_ASSIGN_OR_RETURN(const Fields part, ObjectAt((*parts)[i], at));
    LB_ASSIGN_OR_RETURN(const std::string words, part.RequiredString("text"));
    if (i > 0) text += '\n';
    text += words;
  }
  return text;
}

// Items of theirs become messages of ours: what an assistant thought, said and called in a row is
// one message.
class Conversation {
 public:
  explicit Conversation(std::vector<ChatMessage>* messages) : messages_(*messages) {}

  Result<void> Add(const json::value& value, size_t index) {
    const std::string at = fmt::format("input[{}]", index);
    LB_ASSIGN_OR_RETURN(const Fields item, ObjectAt(value, at));
    std::string type = item.Find("role") != nullptr ? "message" : "";
    LB_RETURN_IF_ERROR(item.Read("type", &type));
    if (type == "message") return AddMessage(item);
    if (type == "reasoning") return AddReasoning(item);
    if (type == "function_call") return AddCall(item);
    if (type == "function_call_output") return AddCallOutput(item);
    if (type.empty()) return item.Bad("type", "a string");
    if (type == "item_reference") {
      return Unsupported(item.Name("type"), "this server keeps no items; send them again");
    }
    return Unsupported(item.Name("type"),
                       fmt::format("{} is no item that this server knows (message, reasoning, "
                                   "function_call, function_call_output)",
                                   Printable(type, 60)));
  }

 private:
  ChatMessage& New(std::string role) {
    messages_.emplace_back();
    messages_.back().role = std::move(role);
    return messages_.back();
  }

  // The assistant's message that is being put together, or a new one.
  ChatMessage& Assistant() {
    if (!assistant_open_) New("assistant");
    assistant_open_ = true;
    return messages_.back();
  }

  Result<void> AddMessage(const Fields& item) {
    LB_ASSIGN_OR_RETURN(std::string role, item.RequiredString("role"));
    if (role != "user" && role != "assistant" && role != "system" && role != "developer") {
      return item.Bad("role", "one of user, assistant, system, developer");
    }
    if (item.Find("content") == nullptr) return item.Bad("content", "a string or a list of parts");
    LB_ASSIGN_OR_RETURN(std::string content, ParseContent(item));
    if (role != "assistant") {
      assistant_open_ = false;
      New(std::move(role)).content = std::move(content);
      return {};
    }
    if (assistant_open_ &&
        (!messages_.back().content.empty() || !messages_.back().tool_calls.is_null())) {
      assistant_open_ = false;
    }
    Assistant().content = std::move(content);
    return {};
  }

  Result<void> AddReasoning(const Fields& item) {
    LB_ASSIGN_OR_RETURN(std::string thought, JoinTexts(item, "content"));
    LB_ASSIGN_OR_RETURN(std::string summary, JoinTexts(item, "summary"));
    if (thought.empty()) thought = std::move(summary);
    assistant_open_ = false;
    if (!thought.empty()) Assistant().reasoning = std::move(thought);
    return {};
  }

  Result<void> AddCall(const Fields& item) {
    LB_ASSIGN_OR_RETURN(const std::string id, item.RequiredString("call_id"));
    LB_ASSIGN_OR_RETURN(const std::string name, item.RequiredString("name"));
    LB_ASSIGN_OR_RETURN(const std::string arguments, item.RequiredString("arguments"));
    ChatMessage& message = Assistant();
    if (message.tool_calls.is_null()) message.tool_calls = json::array();
    message.tool_calls.get_array().push_back(
        json::object{{"id", id},
                     {"type", "function"},
                     {"function", json::object{{"name", name}, {"arguments", arguments}}}});
    return {};
  }

  Result<void> AddCallOutput(const Fields& item) {
    LB_ASSIGN_OR_RETURN(std::string id, item.RequiredString("call_id"));
    if (item.Find("output") == nullptr) return item.Bad("output", "a string or a list of parts");
    LB_ASSIGN_OR_RETURN(std::string content, ParseContent(item, "output"));
    assistant_open_ = false;
    ChatMessage& message = New("tool");
    message.content = std::move(content);
    message.tool_call_id = std::move(id);
    return {};
  }

  std::vector<ChatMessage>& messages_;
  bool assistant_open_ = false;  // the last of them is an assistant's that may still grow
};

Result<void> ParseInput(const Fields& fields, std::vector<ChatMessage>* messages) {
  LB_ASSIGN_OR_RETURN(auto instructions, fields.String("instructions"));
  if (instructions && !instructions->empty()) {
    messages->emplace_back();
    messages->back().role = "system";
    messages->back().content = std::move(*instructions);
  }
  const json::value* input = fields.Find("input");
  if (input != nullptr && input->is_string()) {
    messages->emplace_back();
    messages->back().role = "user";
    messages->back().content = std::string(input->get_string());
    return {};
  }
  if (input == nullptr || !input->is_array() || input->get_array().empty()) {
    return fields.Bad("input", "a string or a list of at least one item");
  }
  Conversation conversation(messages);
  for (size_t i = 0; i < input->get_array().size(); ++i) {
    LB_RETURN_IF_ERROR(conversation.Add(input->get_array()[i], i));
  }
  // Only a thought without words, of which nothing is left.
  if (messages->empty()) return fields.Bad("input", "a list with a message");
  return {};
}

// A model without memory cannot keep what these promise.
Result<void> RefuseState(const Fields& fields) {
  for (const char* name : {"previous_response_id", "conversation", "prompt"}) {
    if (fields.Find(name) == nullptr) continue;
    return Unsupported(name, "this server keeps nothing between requests; send all in input");
  }
  for (const char* name : {"store", "background"}) {
    LB_ASSIGN_OR_RETURN(const auto on, fields.Bool(name));
    if (on.value_or(false)) {
      return Unsupported(name, "this server keeps no responses; only false is possible");
    }
  }
  std::string truncation = "disabled";
  LB_RETURN_IF_ERROR(fields.Read("truncation", &truncation));
  if (truncation == "auto") {
    return Unsupported("truncation", "what does not fit is refused, never cut");
  }
  if (truncation != "disabled") return fields.Bad("truncation", "\"disabled\"");
  LB_ASSIGN_OR_RETURN(const auto* management, fields.Array("context_management"));
  if (management != nullptr && !management->empty()) {
    return Unsupported("context_management", "this server edits no conversations");
  }
  return {};
}

Result<void> ParseTextFormat(const Fields& fields, GenerationOptions* options) {
  LB_ASSIGN_OR_RETURN(const auto* text, fields.Object("text"));
  if (text == nullptr) return {};
  LB_ASSIGN_OR_RETURN(const auto* format, Fields(*text, "text.").Object("format"));
  if (format == nullptr) return {};
  const Fields inner(*format, "text.format.");
  LB_ASSIGN_OR_RETURN(const std::string type, inner.RequiredString("type"));
  if (type == "text") return {};
  if (type == "json_object") {
    options->constraint = {grammar::Constraint::Kind::kJsonObject, {}, inner.Name("type")};
    return {};
  }
  if (type != "json_schema") {
    return inner.Bad("type", "\"text\", \"json_object\" or \"json_schema\"");
  }
  const json::value* schema = inner.Find("schema");
  if (schema == nullptr) return inner.Bad("schema", "a JSON schema");
  LB_ASSIGN_OR_RETURN(options->constraint, SchemaConstraint(*schema, inner.Name("schema")));
  return {};
}

// Theirs in the form of chat, where a function's fields lie one level deeper.
Result<ToolOptions> ParseResponsesTools(const Fields& fields) {
  json::object ours;
  json::array& list = ours["tools"].emplace_array();
  LB_ASSIGN_OR_RETURN(const auto* tools, fields.Array("tools"));
  for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
    const std::string at = fmt::format("tools[{}]", i);
    LB_ASSIGN_OR_RETURN(const Fields tool, ObjectAt((*tools)[i], at));
    LB_ASSIGN_OR_RETURN(const std::string type, tool.RequiredString("type"));
    if (type != "function") {
      return Unsupported(at + ".type", fmt::format("{} is a tool that this server has not; only "
                                                   "functions are possible",
                                                   Printable(type, 60)));
    }
    json::object function;
    LB_ASSIGN_OR_RETURN(function["name"], tool.RequiredString("name"));
    LB_RETURN_IF_ERROR(tool.String("description"));
    LB_RETURN_IF_ERROR(tool.Object("parameters"));
    LB_RETURN_IF_ERROR(tool.Bool("strict"));
    for (const char* key : {"description", "parameters", "strict"}) {
      if (const json::value* value = tool.Find(key)) function[key] = *value;
    }
    list.push_back(json::object{{"type", "function"}, {"function", std::move(function)}});
  }
  if (const json::value* choice = fields.Find("tool_choice")) {
    const json::object* object = choice->if_object();
    const bool some = object != nullptr && object->contains("type") &&
                      object->at("type") == "allowed_tools" && !object->contains("allowed_tools");
    ours["tool_choice"] =
        some ? json::object{{"type", "allowed_tools"}, {"allowed_tools", *object}} : *choice;
  }
  if (const json::value* parallel = fields.Find("parallel_tool_calls")) {
    ours["parallel_tool_calls"] = *parallel;
  }
  return ParseTools(Fields(ours));
}

Result<void> ParseLogprobs(const Fields& fields, GenerationOptions* options) {
  LB_ASSIGN_OR_RETURN(const std::vector<std::string> include, fields.Strings("include"));
  options->with_logprobs =
      std::find(include.begin(), include.end(), "message.output_text.logprobs") != include.end();
  int top = 0;
  LB_RETURN_IF_ERROR(fields.Read("top_logprobs", &top, 0, kMaxChatLogprobs));
  if (options->with_logprobs) options->sampling.num_logprobs = top;
  return {};
}

// What the reply repeats, with what was meant where nothing was said.
Result<json::object> Echo(const Fields& fields, const GenerationOptions& options) {
  json::object echo;
  const auto repeat = [&](std::string_view key, json::value otherwise) {
    const json::value* value = fields.Find(key);
    echo[key] = value == nullptr ? std::move(otherwise) : *value;
  };
  LB_RETURN_IF_ERROR(fields.Object("metadata"));
  repeat("instructions", nullptr);
  repeat("max_output_tokens", nullptr);
  repeat("max_tool_calls", nullptr);
  repeat("metadata", json::object());
  repeat("parallel_tool_calls", true);
  repeat("prompt_cache_key", nullptr);
  repeat("reasoning", json::object{{"effort", nullptr}, {"summary", nullptr}});
  repeat("safety_identifier", nullptr);
  repeat("text", json::object());
  json::object* text = echo["text"].if_object();
  if (text != nullptr && !text->contains("format")) {
    (*text)["format"] = json::object{{"type", "text"}};
  }
  repeat("tool_choice", "auto");
  repeat("tools", json::array());
  repeat("top_logprobs", 0);
  repeat("user", nullptr);
  echo["temperature"] = options.sampling.temperature;
  echo["top_p"] = options.sampling.top_p;
  return echo;
}

}  // namespace

Result<ResponsesRequest> ParseResponsesRequest(const json::object& body,
                                               const GenerationDefaults& defaults,
                                               const text::Tokenizer& tokenizer) {
  const Fields fields(body);
  ResponsesRequest request;
  ChatRequest& chat = request.chat = ChatRequestOf(defaults);
  LB_ASSIGN_OR_RETURN(chat.options, ParseOptions(fields, defaults, tokenizer, Dialect::kOpenAi));
  chat.options.n = 1;
  LB_ASSIGN_OR_RETURN(const auto limit,
                      fields.Int("max_output_tokens", 0, std::numeric_limits<int64_t>::max()));
  if (limit) chat.options.max_tokens = *limit;
  LB_RETURN_IF_ERROR(ParseLogprobs(fields, &chat.options));
  LB_RETURN_IF_ERROR(RefuseState(fields));
  LB_RETURN_IF_ERROR(ParseTextFormat(fields, &chat.options));
  LB_RETURN_IF_ERROR(ParseInput(fields, &chat.messages));
  LB_ASSIGN_OR_RETURN(chat.tools, ParseResponsesTools(fields));
  LB_RETURN_IF_ERROR(ParseThoughts(fields, defaults, &chat));
  chat.continue_final_message = EndsInAnswer(chat);
  LB_ASSIGN_OR_RETURN(request.echo, Echo(fields, chat.options));
  return request;
}

}  // namespace lb::api

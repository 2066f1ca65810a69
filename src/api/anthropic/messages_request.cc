#include "api/anthropic/messages_request.h"

#include <limits>
#include <map>
#include <utility>

#include "api/constraint_fields.h"
#include "base/printable.h"

namespace lb::api {
namespace json = boost::json;
namespace {

Error NotText(const Fields& block, std::string_view type) {
  return Error{ErrorCode::kUnsupported,
               fmt::format("{}: this model reads text, not {}", block.Name("type"), type),
               block.Name("type")};
}

void AddLine(std::string_view words, bool first, std::string* text) {
  if (!first) *text += '\n';
  *text += words;
}

// Calls `take(Fields, type)` for each block of a list.
template <typename Take>
Result<void> ForEachBlock(const json::array& blocks, const std::string& name, Take take) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    const std::string at = fmt::format("{}[{}]", name, i);
    LB_ASSIGN_OR_RETURN(const Fields block, ObjectAt(blocks[i], at));
    LB_ASSIGN_OR_RETURN(const std::string type, block.RequiredString("type"));
    LB_RETURN_IF_ERROR(take(block, type));
  }
  return {};
}

// A string or a list of text blocks, such as `system` and what a tool gave back.
Result<std::string> ParseText(const Fields& fields, std::string_view key) {
  const json::value* value = fields.Find(key);
  if (value == nullptr) return std::string();
  if (value->is_string()) return std::string(value->get_string());
  if (!value->is_array()) return fields.Bad(key, "a string or a list of text blocks");
  std::string text;
  bool first = true;
  LB_RETURN_IF_ERROR(
      ForEachBlock(value->get_array(), fields.Name(key),
                   [&](const Fields& block, const std::string& type) -> Result<void> {
                     if (type == "image" || type == "document" || type == "search_result") {
                       return NotText(block, type);
                     }
                     if (type != "text") return block.Bad("type", "\"text\"");
                     LB_ASSIGN_OR_RETURN(const std::string words, block.RequiredString("text"));
                     AddLine(words, first, &text);
                     first = false;
                     return {};
                   }));
  return text;
}

// Messages of theirs become one or several of ours.
class Conversation {
 public:
  explicit Conversation(std::vector<ChatMessage>* messages) : messages_(*messages) {}

  Result<void> Add(const json::value& value, size_t index) {
    const std::string at = fmt::format("messages[{}]", index);
    LB_ASSIGN_OR_RETURN(const Fields fields, ObjectAt(value, at));
    std::string role;
    LB_RETURN_IF_ERROR(fields.Read("role", &role));
    if (role != "user" && role != "assistant") {
      return fields.Bad("role", "\"user\" or \"assistant\" (`system` is a field of the request)");
    }
    open_ = false;
    const json::value* content = fields.Find("content");
    if (content == nullptr || !(content->is_string() || content->is_array())) {
      return fields.Bad("content", "a string or a list of blocks");
    }
    if (content->is_string()) {
      Open(role).content = std::string(content->get_string());
      return {};
    }
    // An assistant's turn is one message even when it says nothing.
    if (role == "assistant" || content->get_array().empty()) Open(role);
    return ForEachBlock(content->get_array(), fields.Name("content"),
                        [&](const Fields& block, const std::string& type) {
                          return role == "user" ? AddUserBlock(block, type)
                                                : AddAssistantBlock(block, type);
                        });
  }

 private:
  ChatMessage& Open(std::string_view role) {
    if (!open_) {
      messages_.emplace_back();
      messages_.back().role = std::string(role);
      open_ = true;
      has_text_ = false;
    }
    return messages_.back();
  }

  Result<void> AddText(const Fields& block, std::string_view role) {
    LB_ASSIGN_OR_RETURN(const std::string words, block.RequiredString("text"));
    std::string& content = Open(role).content;
    AddLine(words, !has_text_, &content);
    has_text_ = true;
    return {};
  }

  Result<void> AddUserBlock(const Fields& block, const std::string& type) {
    if (type == "text") return AddText(block, "user");
    if (type == "tool_result") {
      LB_ASSIGN_OR_RETURN(std::string id, block.RequiredString("tool_use_id"));
      LB_ASSIGN_OR_RETURN(std::string content, ParseText(block, "content"));
      open_ = false;
      ChatMessage& result = Open("tool");
      open_ = false;
      result.content = std::move(content);
      const auto called = tools_.find(id);
      if (called != tools_.end()) result.name = called->second;
      result.tool_call_id = std::move(id);
      return {};
    }
    if (type == "image" || type == "document" || type == "search_result" ||
        type == "container_upload") {
      return NotText(block, type);
    }
    return block.Bad("type", "\"text\" or \"tool_result\"");
  }

  Result<void> AddAssistantBlock(const Fields& block, const std::string& type) {
    if (type == "text") return AddText(block, "assistant");
    ChatMessage& message = Open("assistant");
    if (type == "redacted_thinking") return {};  // nobody here could read it
    if (type == "thinking") {
      LB_ASSIGN_OR_RETURN(const std::string words, block.RequiredString("thinking"));
      AddLine(words, message.reasoning.empty(), &message.reasoning);
      return {};
    }
    if (type != "tool_use") return block.Bad("type", "\"text\", \"thinking\" or \"tool_use\"");
    LB_ASSIGN_OR_RETURN(const std::string id, block.RequiredString("id"));
    LB_ASSIGN_OR_RETURN(const std::string name, block.RequiredString("name"));
    LB_ASSIGN_OR_RETURN(const auto* input, block.Object("input"));
    tools_[id] = name;
    if (message.tool_calls.is_null()) message.tool_calls = json::array();
    message.tool_calls.get_array().push_back(json::object{
        {"id", id},
        {"type", "function"},
        {"function",
         json::object{{"name", name}, {"arguments", input == nullptr ? json::object() : *input}}}});
    return {};
  }

  std::vector<ChatMessage>& messages_;
  bool open_ = false;                         // the last of them may still grow
  bool has_text_ = false;                     // and has a block of text
  std::map<std::string, std::string> tools_;  // names by the ids of their calls
};

// Theirs in OpenAI's form.
Result<ToolOptions> ParseAnthropicTools(const Fields& fields) {
  json::object ours;
  json::array& list = ours["tools"].emplace_array();
  LB_ASSIGN_OR_RETURN(const auto* tools, fields.Array("tools"));
  for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
    const std::string at = fmt::format("tools[{}]", i);
    LB_ASSIGN_OR_RETURN(const Fields tool, ObjectAt((*tools)[i], at));
    std::string type = "custom";
    LB_RETURN_IF_ERROR(tool.Read("type", &type));
    if (type != "custom") {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("{}.type: {} is a tool of Anthropic's own, which this server has "
                               "not; give it as a custom tool",
                               at, Printable(type, 60)),
                   at + ".type"};
    }
    json::object function;
    LB_ASSIGN_OR_RETURN(function["name"], tool.RequiredString("name"));
    LB_ASSIGN_OR_RETURN(const auto* schema, tool.Object("input_schema"));
    if (schema == nullptr) return tool.Bad("input_schema", "an object");
    LB_RETURN_IF_ERROR(tool.String("description"));
    LB_RETURN_IF_ERROR(tool.Bool("strict"));
    for (const char* key : {"description", "strict"}) {
      if (const json::value* value = tool.Find(key)) function[key] = *value;
    }
    function["parameters"] = *schema;
    list.push_back(json::object{{"type", "function"}, {"function", std::move(function)}});
  }
  LB_ASSIGN_OR_RETURN(const auto* choice, fields.Object("tool_choice"));
  if (choice != nullptr) {
    const Fields inner(*choice, "tool_choice.");
    std::string type;
    LB_RETURN_IF_ERROR(inner.Read("type", &type));
    if (type == "none" || type == "auto") {
      ours["tool_choice"] = type;
    } else if (type == "any") {
      ours["tool_choice"] = "required";
    } else if (type == "tool") {
      LB_ASSIGN_OR_RETURN(const std::string name, inner.RequiredString("name"));
      ours["tool_choice"] =
          json::object{{"type", "function"}, {"function", json::object{{"name", name}}}};
    } else {
      return inner.Bad("type", "\"auto\", \"any\", \"tool\" or \"none\"");
    }
    LB_ASSIGN_OR_RETURN(const auto one, inner.Bool("disable_parallel_tool_use"));
    ours["parallel_tool_calls"] = !one.value_or(false);
  }
  return ParseTools(Fields(ours));
}

// `thinking`, and how hard (`output_config.effort`).
Result<void> ParseThinking(const Fields& fields, const GenerationDefaults& defaults,
                           ChatRequest* request) {
  LB_ASSIGN_OR_RETURN(const auto* thinking, fields.Object("thinking"));
  std::optional<bool> on;
  if (thinking != nullptr) {
    const Fields inner(*thinking, "thinking.");
    std::string type;
    LB_RETURN_IF_ERROR(inner.Read("type", &type));
    if (type != "enabled" && type != "disabled" && type != "adaptive" && type != "between_tools") {
      return inner.Bad("type", "\"enabled\", \"adaptive\" or \"disabled\"");
    }
    on = type != "disabled";
    LB_ASSIGN_OR_RETURN(const auto budget,
                        inner.Int("budget_tokens", 0, std::numeric_limits<int32_t>::max()));
    if (*on && budget) request->thinking_budget = *budget;
  }
  LB_ASSIGN_OR_RETURN(const auto* config, fields.Object("output_config"));
  std::optional<std::string> effort;
  if (config != nullptr) {
    LB_ASSIGN_OR_RETURN(effort, Fields(*config, "output_config.").String("effort"));
  }
  TellThinking(on, effort, defaults, request);
  return {};
}

// {type: "json_schema", schema}, in its place or in the one that it had before.
Result<void> ParseFormat(const Fields& fields, GenerationOptions* options) {
  LB_ASSIGN_OR_RETURN(const auto* format, fields.Object("output_format"));
  std::string at = "output_format.";
  LB_ASSIGN_OR_RETURN(const auto* config, fields.Object("output_config"));
  if (config != nullptr) {
    LB_ASSIGN_OR_RETURN(const auto* newer, Fields(*config, "output_config.").Object("format"));
    if (newer != nullptr) {
      format = newer;
      at = "output_config.format.";
    }
  }
  if (format == nullptr) return {};
  const Fields inner(*format, at);
  std::string type;
  LB_RETURN_IF_ERROR(inner.Read("type", &type));
  if (type != "json_schema") return inner.Bad("type", "\"json_schema\"");
  const json::value* schema = inner.Find("schema");
  if (schema == nullptr) return inner.Bad("schema", "a JSON schema");
  LB_ASSIGN_OR_RETURN(options->constraint, SchemaConstraint(*schema, inner.Name("schema")));
  return {};
}

Result<void> RefuseServers(const Fields& fields) {
  LB_ASSIGN_OR_RETURN(const auto* servers, fields.Array("mcp_servers"));
  if (servers == nullptr || servers->empty()) return {};
  return Error{ErrorCode::kUnsupported, "mcp_servers: this server calls no others", "mcp_servers"};
}

}  // namespace

Result<ChatRequest> ParseMessagesRequest(const json::object& body,
                                         const GenerationDefaults& defaults,
                                         const text::Tokenizer& tokenizer) {
  const Fields fields(body);
  ChatRequest request = ChatRequestOf(defaults);
  LB_ASSIGN_OR_RETURN(request.options, ParseOptions(fields, defaults, tokenizer, Dialect::kOpenAi));
  request.options.n = 1;
  LB_ASSIGN_OR_RETURN(const auto stops, ParseStops(fields, "stop_sequences"));
  request.options.stop.insert(request.options.stop.end(), stops.begin(), stops.end());
  LB_RETURN_IF_ERROR(ParseFormat(fields, &request.options));
  LB_RETURN_IF_ERROR(RefuseServers(fields));
  LB_ASSIGN_OR_RETURN(std::string system, ParseText(fields, "system"));
  if (!system.empty()) {
    request.messages.emplace_back();
    request.messages.back().role = "system";
    request.messages.back().content = std::move(system);
  }
  LB_ASSIGN_OR_RETURN(const auto* messages, fields.Array("messages"));
  if (messages == nullptr || messages->empty()) {
    return fields.Bad("messages", "a list of at least one message");
  }
  Conversation conversation(&request.messages);
  for (size_t i = 0; i < messages->size(); ++i) {
    LB_RETURN_IF_ERROR(conversation.Add((*messages)[i], i));
  }
  LB_ASSIGN_OR_RETURN(request.tools, ParseAnthropicTools(fields));
  LB_RETURN_IF_ERROR(ParseThinking(fields, defaults, &request));
  request.continue_final_message = EndsInAnswer(request);
  return request;
}

}  // namespace lb::api

#include "api/chat_input.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "api/json_writer.h"
#include "api/tool_history.h"

namespace lb::api {
namespace json = boost::json;
namespace {

using text::jinja::Origin;
using text::jinja::Value;
using Entries = std::vector<std::pair<Value, Value>>;

// Everything here is data: no byte of it may become a control token. Depth is ParseJson's.
Value FromJson(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return Value();
    case json::kind::bool_:
      return Value::Bool(value.get_bool());
    case json::kind::int64:
      return Value::Int(value.get_int64());
    case json::kind::uint64:
      return Value::Double(static_cast<double>(value.get_uint64()));
    case json::kind::double_:
      return Value::Double(value.get_double());
    case json::kind::string:
      return Value::String(std::string(value.get_string()));
    case json::kind::array: {
      std::vector<Value> items;
      items.reserve(value.get_array().size());
      for (const json::value& item : value.get_array()) items.push_back(FromJson(item));
      return Value::List(std::move(items));
    }
    case json::kind::object: {
      Entries entries;
      entries.reserve(value.get_object().size());
      for (const auto& [key, item] : value.get_object()) {
        entries.emplace_back(Value::String(std::string(key)), FromJson(item));
      }
      return Value::Dict(std::move(entries));
    }
  }
  return Value();
}

// Keys and roles are ours: a template that writes "<|" + role + "|>" means a control token.
Value Ours(std::string text) { return Value::String(std::move(text), Origin::kTemplate); }

Value FromToolCall(const json::object& call, const std::string& id, const TemplateHabits& habits) {
  Entries entries;
  entries.emplace_back(Ours("id"), Value::String(id));
  if (!call.contains("type")) entries.emplace_back(Ours("type"), Ours("function"));
  for (const auto& [key, item] : call) {
    if (key == "id") continue;
    if (key != "function") {
      entries.emplace_back(Ours(std::string(key)), FromJson(item));
      continue;
    }
    json::object function = item.get_object();
    json::value& arguments = function["arguments"];
    if (arguments.is_null() || (arguments.is_string() && arguments.get_string().empty())) {
      arguments = json::object();
    }
    if (habits.object_arguments && arguments.is_string()) {
      auto parsed = ParseJson(arguments.get_string());
      if (parsed.has_value() && parsed.value().is_object()) {
        arguments = std::move(parsed).value();
      } else if (!habits.text_arguments) {
        // What a model once wrote wrongly must not end the conversation.
        arguments = json::object({{"arguments", arguments}});
      }
    } else if (!habits.object_arguments && !arguments.is_string()) {
      JsonWriter writer;
      writer.Value(arguments);
      arguments = writer.text();
    }
    entries.emplace_back(Ours("function"), FromJson(function));
  }
  return Value::Dict(std::move(entries));
}

Value FromMessage(const ChatMessage& message, const TemplateHabits& habits, CallLinks* links) {
  Entries entries;
  const bool developer = message.role == "developer" && !habits.developer_role;
  entries.emplace_back(Ours("role"), Ours(developer ? "system" : message.role));
  const bool calls = message.tool_calls.is_array();
  std::string content = message.content;
  if (calls && habits.calls_as_text) {
    if (!content.empty()) content += "\n";
    content += CallsAsText(message, *habits.text_format);
  }
  entries.emplace_back(Ours("content"), calls && content.empty() && habits.null_content
                                            ? Value()
                                            : Value::String(std::move(content)));
  CallLinks::Link link{message.tool_call_id, message.name};
  if (message.role == "tool") link = links->Result(message);
  if (!link.name.empty()) entries.emplace_back(Ours("name"), Value::String(link.name));
  if (!link.id.empty()) entries.emplace_back(Ours("tool_call_id"), Value::String(link.id));
  if (!message.reasoning.empty()) {
    entries.emplace_back(Ours(habits.thinking_field ? "thinking" : "reasoning_content"),
                         Value::String(message.reasoning));
  }
  if (calls) {
    std::vector<Value> list;
    for (const json::value& call : message.tool_calls.get_array()) {
      list.push_back(FromToolCall(call.get_object(), links->Call(call.get_object()), habits));
    }
    entries.emplace_back(Ours("tool_calls"), Value::List(std::move(list)));
  }
  return Value::Dict(std::move(entries));
}

}  // namespace

TemplateHabits HabitsOf(const text::ChatTemplate& chat_template, const ToolFormat& format) {
  const std::string& source = chat_template.source();
  const auto has = [&](std::string_view words) { return source.find(words) != std::string::npos; };
  TemplateHabits habits;
  habits.developer_role = has("developer");
  habits.object_arguments =
      has("arguments | tojson") || has("arguments|tojson") || has("arguments | items") ||
      has("arguments|items") || has("arguments.items") || has("arguments'] | tojson") ||
      has("arguments']|tojson") || has("arguments is mapping") || has("arguments.keys") ||
      has("tool_call | tojson") || has("tool_call|tojson") || has("tool_calls | tojson") ||
      has("tool_calls|tojson");
  habits.object_arguments |= chat_template.wants_object_arguments();
  habits.text_arguments = chat_template.takes_text_arguments();
  habits.nine_letter_ids = has("length != 9") || has("length == 9");
  habits.system_role = chat_template.knows_system_role();
  habits.tools_as_text = !chat_template.knows_tools();
  habits.calls_as_text = !habits.tools_as_text && !chat_template.keeps_calls();
  const bool json =
      !format.shape.before_name.empty() && format.shape.arguments == CallShape::Arguments::kJson;
  habits.text_format = json ? &format : ToolFormatByName("generic");
  habits.null_content =
      has("content'] is none") || has("content is none") || has("content\"] is none");
  habits.thinking_field = has("message.thinking") || has("message['thinking']") ||
                          has("\"thinking\" in message") || has("'thinking' in message");
  return habits;
}

namespace {

// What some templates ask for under names of their own, unless the request gives it: the day (Llama
// 3, Firefunction) and the functions of the tools as JSON text (Firefunction).
json::object TemplateArgs(const ChatRequest& request, int64_t now_unix) {
  json::object out = request.template_args;
  if (!out.contains("functions")) {
    JsonWriter w;
    if (request.tools.shown.is_array()) {
      w.BeginArray();
      for (const json::value& tool : request.tools.shown.get_array()) w.Value(tool.at("function"));
      w.EndArray();
    }
    out["functions"] = w.Take();
  }
  const std::time_t now = now_unix;
  std::tm local = {};
  if (localtime_r(&now, &local) == nullptr) return out;
  const auto add = [&](std::string_view name, const char* format) {
    char text[64];
    if (out.contains(name)) return;
    out[name] = std::string_view(text, std::strftime(text, sizeof(text), format, &local));
  };
  add("date_string", "%d %b %Y");
  add("datetime", "%b %d %Y");
  return out;
}

}  // namespace

text::ChatInput MakeChatInput(const ChatRequest& request, const TemplateHabits& habits,
                              int64_t now_unix) {
  text::ChatInput input;
  const bool tools =
      request.tools.shown.is_array() ||
      std::any_of(request.messages.begin(), request.messages.end(), [](const ChatMessage& message) {
        return message.role == "tool" || message.tool_calls.is_array();
      });
  const bool as_text = tools && habits.tools_as_text;
  std::vector<ChatMessage> told;
  if (as_text) told = MessagesWithoutTools(request, *habits.text_format, habits.system_role);
  const std::vector<ChatMessage>& given = as_text ? told : request.messages;
  std::vector<Value> messages;
  CallLinks links(habits.nine_letter_ids);
  // A message to go on with is no turn of its own: its text follows the answer's beginning.
  const size_t turns = given.size() - (request.continue_final_message ? 1 : 0);
  messages.reserve(turns);
  for (size_t i = 0; i < turns; ++i) messages.push_back(FromMessage(given[i], habits, &links));
  input.messages = Value::List(std::move(messages));
  if (!as_text) input.tools = FromJson(request.tools.shown);
  input.documents = FromJson(request.documents);
  input.add_generation_prompt = request.add_generation_prompt || request.continue_final_message;
  input.extra = FromJson(TemplateArgs(request, now_unix));
  input.now_unix = now_unix;
  return input;
}

}  // namespace lb::api

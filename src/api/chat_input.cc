#include "api/chat_input.h"

#include <ctime>
#include <utility>

#include "api/json_writer.h"

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

Value FromToolCall(const json::object& call, bool object_arguments) {
  Entries entries;
  for (const auto& [key, item] : call) {
    if (key != "function") {
      entries.emplace_back(Ours(std::string(key)), FromJson(item));
      continue;
    }
    json::object function = item.get_object();
    json::value& arguments = function["arguments"];
    if (arguments.is_null()) arguments = json::object();
    if (object_arguments && arguments.is_string()) {
      auto parsed = ParseJson(arguments.get_string());
      if (parsed.has_value() && parsed.value().is_object()) arguments = std::move(parsed).value();
    } else if (!object_arguments && !arguments.is_string()) {
      JsonWriter writer;
      writer.Value(arguments);
      arguments = writer.text();
    }
    entries.emplace_back(Ours("function"), FromJson(function));
  }
  return Value::Dict(std::move(entries));
}

Value FromMessage(const ChatMessage& message, const TemplateHabits& habits) {
  Entries entries;
  const bool developer = message.role == "developer" && !habits.developer_role;
  entries.emplace_back(Ours("role"), Ours(developer ? "system" : message.role));
  const bool calls = message.tool_calls.is_array();
  entries.emplace_back(Ours("content"), calls && message.content.empty() && habits.null_content
                                            ? Value()
                                            : Value::String(message.content));
  if (!message.name.empty()) entries.emplace_back(Ours("name"), Value::String(message.name));
  if (!message.tool_call_id.empty()) {
    entries.emplace_back(Ours("tool_call_id"), Value::String(message.tool_call_id));
  }
  if (!message.reasoning.empty()) {
    entries.emplace_back(Ours(habits.thinking_field ? "thinking" : "reasoning_content"),
                         Value::String(message.reasoning));
  }
  if (calls) {
    std::vector<Value> list;
    for (const json::value& call : message.tool_calls.get_array()) {
      list.push_back(FromToolCall(call.get_object(), habits.object_arguments));
    }
    entries.emplace_back(Ours("tool_calls"), Value::List(std::move(list)));
  }
  return Value::Dict(std::move(entries));
}

}  // namespace

TemplateHabits HabitsOf(const text::ChatTemplate& chat_template) {
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
  std::vector<Value> messages;
  // A message to go on with is no turn of its own: its text follows the answer's beginning.
  const size_t turns = request.messages.size() - (request.continue_final_message ? 1 : 0);
  messages.reserve(turns);
  for (size_t i = 0; i < turns; ++i) messages.push_back(FromMessage(request.messages[i], habits));
  input.messages = Value::List(std::move(messages));
  input.tools = FromJson(request.tools.shown);
  input.documents = FromJson(request.documents);
  input.add_generation_prompt = request.add_generation_prompt || request.continue_final_message;
  input.extra = FromJson(TemplateArgs(request, now_unix));
  input.now_unix = now_unix;
  return input;
}

}  // namespace lb::api

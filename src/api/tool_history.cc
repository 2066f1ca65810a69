#include "api/tool_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "api/json_writer.h"

namespace lb::api {
namespace json = boost::json;
namespace {

bool IsNineLetters(std::string_view id) {
  return id.size() == 9 && std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

std::string NameOf(const json::object& call) {
  return std::string(call.at("function").at("name").as_string());
}

// JSON text, whether it came as text or as an object.
std::string ArgumentsOf(const json::object& call) {
  const json::value* arguments = call.at("function").as_object().if_contains("arguments");
  if (arguments == nullptr || arguments->is_null()) return "{}";
  if (arguments->is_string()) {
    return arguments->get_string().empty() ? "{}" : std::string(arguments->get_string());
  }
  JsonWriter w;
  w.Value(*arguments);
  return w.Take();
}

std::string CallText(const CallShape& shape, std::string_view name, std::string_view arguments) {
  return fmt::format("{}{}{}{}{}", shape.before_name, name, shape.after_name, arguments,
                     shape.after_arguments);
}

std::string ToolsAsText(const json::array& tools, const CallShape& shape) {
  std::string text = fmt::format(
      "You can call functions. To call one, answer with nothing but this, with the function's name "
      "and its arguments as a JSON object:\n{}{}{}\nThese are the functions:\n",
      shape.before_all, CallText(shape, "NAME", "{\"KEY\": VALUE}"), shape.after_all);
  for (const json::value& tool : tools) {
    JsonWriter w;
    w.Value(tool.at("function"));
    text += w.text() + "\n";
  }
  text.pop_back();
  return text;
}

}  // namespace

std::string CallLinks::Fit(const std::string& id) const {
  if (!nine_letters_ || IsNineLetters(id)) return id;
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  constexpr std::string_view kDigits =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string out;
  for (int i = 0; i < 9; ++i, hash /= kDigits.size()) out += kDigits[hash % kDigits.size()];
  return out;
}

std::string CallLinks::Call(const json::object& call) {
  const json::value* id = call.if_contains("id");
  std::string given = id != nullptr && id->is_string() ? std::string(id->get_string()) : "";
  const std::string fit = Fit(given.empty() ? fmt::format("call_{}", calls_.size()) : given);
  calls_.push_back({std::move(given), fit, NameOf(call), false});
  return fit;
}

CallLinks::Link CallLinks::Result(const ChatMessage& message) {
  const std::string& given = message.tool_call_id;
  // Of two calls with the same id the later one: ids need to be unique in one answer only.
  const auto fits = [&](const Open& call) {
    return given.empty() ? !call.answered : call.given == given;
  };
  Link link{given.empty() ? "" : Fit(given), message.name};
  Open* found = nullptr;
  if (given.empty()) {
    const auto first = std::find_if(calls_.begin(), calls_.end(), fits);
    if (first != calls_.end()) found = &*first;
  } else {
    const auto last = std::find_if(calls_.rbegin(), calls_.rend(), fits);
    if (last != calls_.rend()) found = &*last;
  }
  if (found == nullptr) return link;
  found->answered = true;
  link.id = found->id;
  if (link.name.empty()) link.name = found->name;
  return link;
}

std::string CallsAsText(const ChatMessage& message, const ToolFormat& format) {
  if (!message.tool_calls.is_array()) return "";
  const CallShape& shape = format.shape;
  std::string text = shape.before_all;
  bool first = true;
  for (const json::value& call : message.tool_calls.get_array()) {
    if (!std::exchange(first, false)) text += shape.between.empty() ? "\n" : shape.between;
    text += CallText(shape, NameOf(call.get_object()), ArgumentsOf(call.get_object()));
  }
  return text + shape.after_all;
}

std::vector<ChatMessage> MessagesWithoutTools(const ChatRequest& request, const ToolFormat& format,
                                              bool system_role) {
  std::vector<ChatMessage> out;
  CallLinks links(false);
  bool merges = false;  // what the user says next belongs to the results before it
  for (const ChatMessage& message : request.messages) {
    if (message.role == "tool") {
      const std::string name = links.Result(message).name;
      const std::string text =
          fmt::format("Result of {}:\n{}", name.empty() ? "the call" : name, message.content);
      if (merges) {
        out.back().content += "\n" + text;
      } else {
        out.emplace_back().role = "user";
        out.back().content = text;
      }
      merges = true;
      continue;
    }
    if (merges && message.role == "user") {
      out.back().content += "\n" + message.content;
      merges = false;
      continue;
    }
    merges = false;
    ChatMessage copy = message;
    if (message.tool_calls.is_array()) {
      for (const json::value& call : message.tool_calls.get_array()) {
        static_cast<void>(links.Call(call.get_object()));
      }
      if (!copy.content.empty()) copy.content += "\n";
      copy.content += CallsAsText(message, format);
      copy.tool_calls = nullptr;
    }
    out.push_back(std::move(copy));
  }
  if (!request.tools.shown.is_array()) return out;
  const std::string tools = ToolsAsText(request.tools.shown.get_array(), format.shape);
  const std::string_view role = system_role ? "system" : "user";
  const auto told = std::find_if(out.begin(), out.end(), [&](const ChatMessage& message) {
    return message.role == role || (system_role && message.role == "developer");
  });
  if (told == out.end() || (system_role && told != out.begin())) {
    ChatMessage first;
    first.role = role;
    first.content = tools;
    out.insert(out.begin(), std::move(first));
  } else {
    told->content = system_role ? told->content + "\n\n" + tools : tools + "\n\n" + told->content;
  }
  return out;
}

}  // namespace lb::api

// Reads JSON lines {"template": source, "input": {...}} from stdin and writes, for each, a line
// {"text": ..., "spans": [[text, special], ...]} or {"error": ...}: the C++ half of
// test_templates.py. The input's keys are the template's variables; a template that comes again is
// compiled once. {"abilities": true} instead of an input asks what the template can do.
#include <boost/json.hpp>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <string>

#include "text/chat_template.h"
#include "text/jinja/from_json.h"
#include "text/jinja/template.h"

namespace {

namespace json = boost::json;
using lb::text::ChatTemplate;
using lb::text::jinja::Value;

std::string StringOr(const json::object& object, const char* key, const char* missing) {
  const json::value* found = object.if_contains(key);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : missing;
}

json::object Answer(const json::object& request) {
  static std::map<std::string, std::unique_ptr<ChatTemplate>> compiled;
  const std::string source = StringOr(request, "template", "");
  std::unique_ptr<ChatTemplate>& chat_template = compiled[source];
  if (chat_template == nullptr) {
    auto result = ChatTemplate::Compile(source, StringOr(request, "bos_token", ""),
                                        StringOr(request, "eos_token", ""));
    if (!result.has_value()) return {{"error", result.error().message}, {"syntax", true}};
    chat_template = std::move(result).value();
  }
  if (request.contains("abilities")) {
    return {{"tools", chat_template->knows_tools()},
            {"system_role", chat_template->knows_system_role()},
            {"developer_role", chat_template->knows_developer_role()},
            {"thinking", chat_template->knows_thinking()},
            {"typed_content", chat_template->wants_typed_content()},
            {"tools_list", chat_template->wants_tools_list()},
            {"object_arguments", chat_template->wants_object_arguments()}};
  }
  lb::text::ChatInput input;
  std::vector<std::pair<Value, Value>> extra;
  for (const auto& [key, element] : request.at("input").as_object()) {
    auto value = lb::text::jinja::FromJson(element);
    if (!value.has_value()) return {{"error", value.error().message}};
    if (key == "messages") {
      input.messages = *value;
    } else if (key == "tools") {
      input.tools = *value;
    } else if (key == "documents") {
      input.documents = *value;
    } else if (key == "add_generation_prompt") {
      input.add_generation_prompt = value->boolean();
    } else if (key == "now") {
      input.now_unix = value->integer();
    } else {
      extra.emplace_back(Value::String(std::string(key)), *value);
    }
  }
  input.extra = Value::Dict(std::move(extra));
  const auto start = std::chrono::steady_clock::now();
  const auto prompt = chat_template->Render(input);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  if (!prompt.has_value()) return {{"error", prompt.error().message}, {"ms", took.count()}};
  json::array spans;
  for (const auto& span : prompt->spans) spans.push_back(json::array{span.text, span.special});
  return {{"text", prompt->Text()}, {"spans", std::move(spans)}, {"ms", took.count()}};
}

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    json::error_code error;
    json::parse_options options;
    options.max_depth = 200;
    const json::value request = json::parse(line, error, {}, options);
    if (error || !request.is_object()) {
      std::cout << "{\"error\": \"bad request line\"}" << std::endl;
      continue;
    }
    std::cout << json::serialize(Answer(request.get_object())) << std::endl;
  }
  return 0;
}

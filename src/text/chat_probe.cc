#include "text/chat_probe.h"

namespace lb::text {
namespace {

using jinja::Value;

// Words that no template writes by itself.
constexpr const char* kUser = "zq-user-words";
constexpr const char* kSystem = "zq-system-words";
constexpr const char* kTool = "zq_tool_name";
constexpr const char* kArgument = "zq_argument";
constexpr const char* kReason = "zq-reasoning-words";

Value Text(const char* text) { return Value::String(text); }

Value Object(std::vector<std::pair<const char*, Value>> entries) {
  std::vector<std::pair<Value, Value>> out;
  for (auto& [key, value] : entries) out.emplace_back(Text(key), std::move(value));
  return Value::Dict(std::move(out));
}

Value Message(const char* role, Value content) {
  return Object({{"role", Text(role)}, {"content", std::move(content)}});
}

Value Parts(const char* text) {
  return Value::List({Object({{"type", Text("text")}, {"text", Text(text)}})});
}

Value Tools() {
  const Value parameters = Object(
      {{"type", Text("object")},
       {"properties",
        Object({{"place", Object({{"type", Text("string")}, {"description", Text("where")}})}})},
       {"required", Value::List({Text("place")})}});
  const Value function = Object({{"name", Text(kTool)},
                                 {"description", Text("looks something up")},
                                 {"parameters", parameters}});
  return Value::List({Object({{"type", Text("function")}, {"function", function}})});
}

class Prober {
 public:
  Prober(const jinja::Template& program, const std::string& bos, const std::string& eos)
      : program_(program), bos_(bos), eos_(eos) {
    // A template that loops must not hold up the start of the server.
    limits_.steps = 400'000;
    limits_.output_bytes = 4 << 20;
    limits_.memory_bytes = 64 << 20;
  }

  std::string Render(std::vector<Value> messages, const Value& tools, bool generate,
                     const char* flag = nullptr, const Value& flag_value = Value()) const {
    ChatContext context = {{"bos_token", Value::String(bos_, jinja::Origin::kTemplate)},
                           {"eos_token", Value::String(eos_, jinja::Origin::kTemplate)},
                           {"messages", Value::List(std::move(messages))},
                           {"tools", tools},
                           {"documents", Value()},
                           {"add_generation_prompt", Value::Bool(generate)}};
    if (flag != nullptr) context.emplace_back(flag, flag_value);
    const Result<jinja::TaintedText> text = program_.Render(context, 0, limits_);
    return text ? text->str() : std::string();
  }

 private:
  const jinja::Template& program_;
  const std::string& bos_;
  const std::string& eos_;
  jinja::Limits limits_;
};

bool Has(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

}  // namespace

ChatAbilities ProbeTemplate(const jinja::Template& program, const std::string& bos_token,
                            const std::string& eos_token) {
  const Prober prober(program, bos_token, eos_token);
  ChatAbilities can;
  const Value text = Message("user", Text(kUser)), parts = Message("user", Parts(kUser));
  const auto takes = [&](const Value& message, const Value& tools) {
    return Has(prober.Render({message}, tools, true), kUser);
  };
  Value no_tools;
  if (!takes(text, no_tools) && !takes(parts, no_tools)) {
    no_tools = Value::List({});
    can.tools_list = takes(text, no_tools) || takes(parts, no_tools);
  }
  can.typed_content = takes(parts, no_tools) && !takes(text, no_tools);

  const auto content = [&](const char* text) {
    return can.typed_content ? Parts(text) : Text(text);
  };
  const Value user = Message("user", content(kUser));
  const Value system = Message("system", content(kSystem));
  can.system_role = Has(prober.Render({system, user}, no_tools, true), kSystem);
  can.tools = Has(prober.Render({user}, Tools(), true), kTool) ||
              Has(prober.Render({system, user}, Tools(), true), kTool);

  const auto call = [&](Value arguments) {
    const Value function = Object({{"name", Text(kTool)}, {"arguments", std::move(arguments)}});
    const Value tool_call =
        Object({{"id", Text("zq1234567")}, {"type", Text("function")}, {"function", function}});
    const Value message = Object({{"role", Text("assistant")},
                                  {"content", content("")},
                                  {"reasoning_content", Text(kReason)},
                                  {"thinking", Text(kReason)},
                                  {"tool_calls", Value::List({tool_call})}});
    const Value result = Object({{"role", Text("tool")},
                                 {"tool_call_id", Text("zq1234567")},
                                 {"content", content("zq-result")}});
    return prober.Render({user, message, result}, Tools(), true);
  };
  const std::string from_object = call(Object({{kArgument, Text("zq-value")}}));
  const std::string from_text = call(Text("{\"zq_argument\": \"zq-value\"}"));
  can.object_arguments = Has(from_object, kArgument) && Has(from_object, "zq-value") &&
                         (!Has(from_text, kArgument) || Has(from_text, "\\\"zq_argument"));

  can.text_arguments = Has(from_text, "zq-value");
  can.keeps_calls = Has(from_object, "zq-value") || can.text_arguments;
  can.call_example = from_object.empty() ? from_text : from_object;

  const auto depends_on = [&](const char* flag, const Value& on, const Value& off) {
    const std::string with = prober.Render({user}, no_tools, true, flag, on);
    return with != prober.Render({user}, no_tools, true, flag, off) || Has(with, "<think>");
  };
  const Value answer = Object({{"role", Text("assistant")},
                               {"content", content("zq-answer-words")},
                               {"reasoning_content", Text(kReason)}});
  can.thinking = depends_on("enable_thinking", Value::Bool(true), Value::Bool(false)) ||
                 depends_on("thinking", Value::Bool(true), Value::Bool(false)) ||
                 depends_on("reasoning_effort", Text("high"), Text("low")) ||
                 Has(from_object, kReason) || Has(from_text, kReason) ||
                 Has(prober.Render({user, answer}, no_tools, false), kReason);
  return can;
}

}  // namespace lb::text

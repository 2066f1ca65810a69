#include "text/chat_template.h"

#include <algorithm>

#include "text/builtin_templates.h"
#include "text/chat_probe.h"
#include "text/jinja/template.h"

namespace lb::text {
namespace {

using jinja::Kind;
using jinja::Origin;
using jinja::Value;

constexpr std::string_view kRoles[] = {"system",    "developer", "user",
                                       "assistant", "tool",      "function"};

// The message with its role as the template's text, when it is one of ours.
Value TrustRole(const Value& message) {
  if (!message.is(Kind::kDict)) return message;
  const Value* role = message.dict().Find("role");
  if (role == nullptr || !role->is_string()) return message;
  const auto* known = std::find(std::begin(kRoles), std::end(kRoles), role->view());
  if (known == std::end(kRoles)) return message;
  std::vector<std::pair<Value, Value>> entries = message.dict().entries;
  for (auto& [key, value] : entries) {
    if (key.view() == "role") value = Value::String(std::string(*known), Origin::kTemplate);
  }
  return Value::Dict(std::move(entries));
}

Value TrustRoles(const Value& messages) {
  if (!messages.is(Kind::kList)) return messages;
  std::vector<Value> out;
  out.reserve(messages.items().size());
  for (const Value& message : messages.items()) out.push_back(TrustRole(message));
  return Value::List(std::move(out));
}

}  // namespace

struct ChatTemplate::Impl {
  std::unique_ptr<jinja::Template> program;
  std::string bos_token, eos_token;
  ChatAbilities can;
};

std::string RenderedPrompt::Text() const {
  std::string text;
  for (const Span& span : spans) text += span.text;
  return text;
}

std::vector<TextSpan> RenderedPrompt::views() const {
  std::vector<TextSpan> views;
  views.reserve(spans.size());
  for (const Span& span : spans) views.push_back({span.text, span.special});
  return views;
}

ChatTemplate::ChatTemplate() : impl_(std::make_unique<Impl>()) {}
ChatTemplate::~ChatTemplate() = default;

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::Compile(std::string source,
                                                            std::string bos_token,
                                                            std::string eos_token) {
  Result<std::unique_ptr<jinja::Template>> program = jinja::Template::Parse(source);
  if (!program) {
    return Fail(ErrorCode::kInvalidArgument, "chat template, {}", program.error().message);
  }
  std::unique_ptr<ChatTemplate> out(new ChatTemplate());
  out->source_ = std::move(source);
  out->impl_->program = std::move(program).value();
  out->impl_->bos_token = std::move(bos_token);
  out->impl_->eos_token = std::move(eos_token);
  out->impl_->can =
      ProbeTemplate(*out->impl_->program, out->impl_->bos_token, out->impl_->eos_token);
  return out;
}

std::string ChatTemplate::BuiltinSource(std::string_view name) { return BuiltinTemplate(name); }

std::vector<std::string_view> ChatTemplate::BuiltinNames() { return BuiltinTemplateNames(); }

Result<RenderedPrompt> ChatTemplate::Render(const ChatInput& input) const {
  ChatContext context = {{"bos_token", Value::String(impl_->bos_token, Origin::kTemplate)},
                         {"eos_token", Value::String(impl_->eos_token, Origin::kTemplate)}};
  if (input.extra.is(Kind::kDict)) {
    for (const auto& [key, value] : input.extra.dict().entries) {
      context.emplace_back(std::string(key.view()), value);
    }
  }
  context.emplace_back("messages", TrustRoles(input.messages));
  const bool empty_list = input.tools.is_none() && impl_->can.tools_list;
  context.emplace_back("tools", empty_list ? Value::List({}) : input.tools);
  context.emplace_back("documents", input.documents);
  context.emplace_back("add_generation_prompt", Value::Bool(input.add_generation_prompt));
  // Some templates look at every message for each message: a long chat is allowed more steps.
  constexpr int64_t kStepsPerMessage = 20'000;
  jinja::Limits limits;
  if (input.messages.is(Kind::kList)) {
    limits.steps += kStepsPerMessage * static_cast<int64_t>(input.messages.items().size());
  }
  LB_ASSIGN_OR_RETURN(const jinja::TaintedText text,
                      impl_->program->Render(context, input.now_unix, limits));
  RenderedPrompt prompt;
  text.ForEachRun([&](std::string_view run, Origin origin) {
    prompt.spans.push_back({std::string(run), origin == Origin::kTemplate});
  });
  return prompt;
}

bool ChatTemplate::knows_tools() const { return impl_->can.tools; }
bool ChatTemplate::knows_system_role() const { return impl_->can.system_role; }
bool ChatTemplate::knows_thinking() const { return impl_->can.thinking; }
bool ChatTemplate::wants_typed_content() const { return impl_->can.typed_content; }
bool ChatTemplate::wants_tools_list() const { return impl_->can.tools_list; }
bool ChatTemplate::wants_object_arguments() const { return impl_->can.object_arguments; }
bool ChatTemplate::takes_text_arguments() const { return impl_->can.text_arguments; }
bool ChatTemplate::keeps_calls() const { return impl_->can.keeps_calls; }
const std::string& ChatTemplate::call_example() const { return impl_->can.call_example; }
bool ChatTemplate::knows_developer_role() const {
  return source_.find("developer") != std::string::npos;
}

}  // namespace lb::text

#include "api/ollama/ollama_request.h"

#include <charconv>
#include <limits>
#include <utility>

#include "api/constraint_fields.h"

namespace lb::api {
namespace json = boost::json;
namespace {

// Whether a Go duration ("5m", "1h30m", "-1s", "0") is zero; nothing when it is none.
std::optional<bool> IsZeroDuration(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return true;
  bool zero = true;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, ec] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
    if (ec != std::errc() || number < 0) return std::nullopt;
    zero &= number == 0;
    text = {rest, static_cast<size_t>(end - rest)};
    bool known = false;
    for (const std::string_view unit : {"ns", "us", "µs", "μs", "ms", "s", "m", "h"}) {
      if (!text.starts_with(unit)) continue;
      text.remove_prefix(unit.size());
      known = true;
      break;
    }
    if (!known) return std::nullopt;
  }
  return zero;
}

// Whether the model should go at once. It never does: one process, one model.
Result<bool> ParseKeepAlive(const Fields& fields) {
  const json::value* value = fields.Find("keep_alive");
  if (value == nullptr) return false;
  if (const auto seconds = AsNumber(*value)) return *seconds == 0;
  const auto zero = value->is_string() ? IsZeroDuration(value->get_string()) : std::nullopt;
  if (!zero) return fields.Bad("keep_alive", "a duration such as \"5m\", or seconds as a number");
  return *zero;
}

Result<GenerationOptions> ParseOllamaOptions(const Fields& fields,
                                             const GenerationDefaults& defaults,
                                             const text::Tokenizer& tokenizer) {
  LB_ASSIGN_OR_RETURN(const auto* given, fields.Object("options"));
  const json::object none;
  const Fields inner(given == nullptr ? none : *given, "options.");
  LB_ASSIGN_OR_RETURN(GenerationOptions options,
                      ParseOptions(inner, defaults, tokenizer, Dialect::kOpenAi));
  options.n = 1;
  options.stream = true;
  LB_RETURN_IF_ERROR(fields.Read("stream", &options.stream));
  LB_RETURN_IF_ERROR(fields.Read("model", &options.model));
  if (options.model.empty()) LB_RETURN_IF_ERROR(fields.Read("name", &options.model));
  LB_ASSIGN_OR_RETURN(const auto predict,
                      inner.Int("num_predict", -2, std::numeric_limits<int64_t>::max()));
  if (predict) options.max_tokens = *predict > 0 ? *predict : -1;
  LB_RETURN_IF_ERROR(inner.Read("num_keep", &options.keep, -1, std::numeric_limits<int>::max()));
  LB_RETURN_IF_ERROR(inner.Int("num_ctx", 1, std::numeric_limits<int64_t>::max()));
  bool shift = true;
  LB_RETURN_IF_ERROR(fields.Read("shift", &shift));
  options.context_shift &= shift;
  LB_RETURN_IF_ERROR(fields.Read("logprobs", &options.with_logprobs));
  int top = 0;
  LB_RETURN_IF_ERROR(fields.Read("top_logprobs", &top, 0, kMaxChatLogprobs));
  if (options.with_logprobs) options.sampling.num_logprobs = top;
  return options;
}

// A schema, or "json"; "" is none.
Result<void> ParseFormat(const Fields& fields, GenerationOptions* options) {
  const json::value* format = fields.Find("format");
  if (format == nullptr || (format->is_string() && format->get_string().empty())) return {};
  if (format->is_string() && format->get_string() == "json") {
    options->constraint = {grammar::Constraint::Kind::kJsonObject, {}, "format"};
    return {};
  }
  if (!format->is_object()) return fields.Bad("format", "\"json\" or a JSON schema");
  LB_ASSIGN_OR_RETURN(options->constraint, SchemaConstraint(*format, "format"));
  return {};
}

Result<void> ParseThink(const Fields& fields, const GenerationDefaults& defaults,
                        OllamaRequest* request) {
  const json::value* value = fields.Find("think");
  std::optional<bool> on;
  std::optional<std::string> effort;
  if (value != nullptr && value->is_bool()) {
    on = value->get_bool();
  } else if (value != nullptr) {
    if (!value->is_string()) return fields.Bad("think", "true, false, or how hard (\"high\")");
    on = true;
    effort = std::string(value->get_string());
  }
  request->wants_thoughts = on == true;
  TellThinking(on, effort, defaults, &request->chat);
  return {};
}

Result<void> RefuseImages(const Fields& fields) {
  LB_ASSIGN_OR_RETURN(const auto* images, fields.Array("images"));
  if (images == nullptr || images->empty()) return {};
  return Error{ErrorCode::kUnsupported,
               fmt::format("{}: this model reads text, not images", fields.Name("images")),
               fields.Name("images")};
}

Result<ChatMessage> ParseOllamaMessage(const json::value& value, size_t index) {
  LB_ASSIGN_OR_RETURN(ChatMessage message, ParseMessage(value, index));
  const Fields fields(value.get_object(), fmt::format("messages[{}].", index));
  LB_RETURN_IF_ERROR(RefuseImages(fields));
  LB_RETURN_IF_ERROR(fields.Read("thinking", &message.reasoning));
  LB_RETURN_IF_ERROR(fields.Read("tool_name", &message.name));
  return message;
}

// What both endpoints have.
Result<OllamaRequest> ParseShared(const Fields& fields, const GenerationDefaults& defaults,
                                  const text::Tokenizer& tokenizer) {
  OllamaRequest request;
  request.chat = ChatRequestOf(defaults);
  LB_ASSIGN_OR_RETURN(request.chat.options, ParseOllamaOptions(fields, defaults, tokenizer));
  LB_ASSIGN_OR_RETURN(request.unload, ParseKeepAlive(fields));
  LB_RETURN_IF_ERROR(ParseFormat(fields, &request.chat.options));
  return request;
}

}  // namespace

Result<OllamaRequest> ParseOllamaChat(const json::object& body, const GenerationDefaults& defaults,
                                      const text::Tokenizer& tokenizer) {
  const Fields fields(body);
  LB_ASSIGN_OR_RETURN(OllamaRequest request, ParseShared(fields, defaults, tokenizer));
  ChatRequest& chat = request.chat;
  LB_ASSIGN_OR_RETURN(const auto* messages, fields.Array("messages"));
  if (messages == nullptr || messages->empty()) {
    request.empty = true;
    return request;
  }
  chat.messages.reserve(messages->size());
  for (size_t i = 0; i < messages->size(); ++i) {
    LB_ASSIGN_OR_RETURN(ChatMessage message, ParseOllamaMessage((*messages)[i], i));
    chat.messages.push_back(std::move(message));
  }
  LB_ASSIGN_OR_RETURN(chat.tools, ParseTools(fields));
  LB_RETURN_IF_ERROR(ParseThink(fields, defaults, &request));
  chat.continue_final_message = EndsInAnswer(chat);
  return request;
}

Result<OllamaRequest> ParseOllamaGenerate(const json::object& body,
                                          const GenerationDefaults& defaults,
                                          const text::Tokenizer& tokenizer) {
  const Fields fields(body);
  LB_ASSIGN_OR_RETURN(OllamaRequest request, ParseShared(fields, defaults, tokenizer));
  ChatRequest& chat = request.chat;
  LB_RETURN_IF_ERROR(RefuseImages(fields));
  bool raw = false;
  std::string prompt, system, suffix, own_template;
  LB_RETURN_IF_ERROR(fields.Read("raw", &raw));
  LB_RETURN_IF_ERROR(fields.Read("prompt", &prompt));
  LB_RETURN_IF_ERROR(fields.Read("system", &system));
  LB_RETURN_IF_ERROR(fields.Read("suffix", &suffix));
  LB_RETURN_IF_ERROR(fields.Read("template", &own_template));
  if (!own_template.empty()) {
    return Error{ErrorCode::kUnsupported,
                 "template: the template is the model's (or --chat-template); raw takes a prompt "
                 "as it is",
                 "template"};
  }
  LB_ASSIGN_OR_RETURN(const auto* context, fields.Array("context"));
  if (context != nullptr && !context->empty()) {
    return Error{ErrorCode::kUnsupported,
                 "context: this server gives no context to go on with; /api/chat takes a "
                 "conversation as messages",
                 "context"};
  }
  request.empty = prompt.empty() && suffix.empty();
  if (request.empty) return request;
  if (raw || !suffix.empty()) {
    if (!system.empty()) {
      return BadField("system", "system: there is no place for it in a raw prompt or a gap");
    }
    CompletionRequest text;
    text.prompt.prompts = {MixedPrompt{std::move(prompt)}};
    text.suffix = std::move(suffix);
    request.text = std::move(text);
    return request;
  }
  if (!system.empty()) {
    chat.messages.emplace_back();
    chat.messages.back().role = "system";
    chat.messages.back().content = std::move(system);
  }
  chat.messages.emplace_back();
  chat.messages.back().role = "user";
  chat.messages.back().content = std::move(prompt);
  LB_RETURN_IF_ERROR(ParseThink(fields, defaults, &request));
  return request;
}

}  // namespace lb::api

// Service: Ollama's endpoints.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "api/json_writer.h"
#include "api/ollama/ollama_models.h"
#include "api/ollama/ollama_request.h"
#include "api/ollama/ollama_writer.h"
#include "api/service.h"

namespace lb::api {
namespace {

// The Ollama whose API this is: clients ask for it to know what they may send.
constexpr std::string_view kOllamaVersion = "0.12.11";

std::string ShortCount(int64_t count) {
  const auto number = static_cast<double>(count);
  if (number >= 1e9) return fmt::format("{:.1f}B", number / 1e9);
  if (number >= 1e6) return fmt::format("{:.2f}M", number / 1e6);
  return fmt::format("{}K", count / 1000);
}

// 64 hex digits that tell models apart, as clients expect them. FNV-1a of what the model is called
// and how large it is: nobody reads 100 GB at a start for it.
std::string DigestOf(const ModelCard& card) {
  const std::string facts = fmt::format("{}|{}|{}|{}|{}", card.path, card.arch, card.name,
                                        card.size_bytes, card.num_parameters);
  std::string digest;
  for (const char salt : {'a', 'b', 'c', 'd'}) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : salt + facts) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    digest += fmt::format("{:016x}", hash);
  }
  return digest;
}

void WriteDetails(const ModelCard& card, JsonWriter* w) {
  w->Key("details").BeginObject();
  w->Key("parent_model").String("").Key("format").String("gguf");
  w->Key("family").String(card.arch);
  w->Key("families").BeginArray().String(card.arch).EndArray();
  w->Key("parameter_size").String(ShortCount(card.num_parameters));
  w->Key("quantization_level").String(card.quantization);
  w->EndObject();
}

void WriteOllamaModel(const ModelCard& card, JsonWriter* w) {
  w->Key("name").String(card.alias).Key("model").String(card.alias);
  w->Key("size").Int(card.size_bytes);
  w->Key("digest").String(DigestOf(card));
  WriteDetails(card, w);
}

}  // namespace

Service::Reply Service::AnswerOllama(OllamaRequest request, bool chat, const Caller& caller) const {
  GenerationOptions& options = request.chat.options;
  OllamaReply reply;
  reply.model = options.model.empty() ? parts_.card.alias : options.model;
  reply.chat = chat;
  reply.with_logprobs = options.with_logprobs;
  if (request.empty) {
    reply.empty_reason = request.unload ? "unload" : "load";
    GenerationSetup setup;
    setup.stream = options.stream;
    setup.writer = MakeOllamaWriter(*parts_.tokenizer, std::move(reply));
    return std::make_unique<Generation>(std::move(setup), *parts_.tokenizer);
  }
  auto writer = MakeOllamaWriter(*parts_.tokenizer, std::move(reply));
  if (!chat && !request.text && parts_.chat_template == nullptr) {
    // What Ollama does with a model that has no template.
    if (request.chat.messages.size() > 1) {
      return Error{ErrorCode::kUnsupported, "system: this model has no chat template", "system"};
    }
    CompletionRequest text;
    text.prompt.prompts = {MixedPrompt{std::move(request.chat.messages.back().content)}};
    request.text = std::move(text);
  }
  if (request.text) {
    LB_ASSIGN_OR_RETURN(const Prompts prompts, EncodePrompts(*request.text));
    return Start(options, caller, prompts.ids, {AnswerOptionsOf(options), -1, "prompt", false},
                 std::move(writer));
  }
  const bool thinks = reasoning_.kind != ReasoningFormat::Kind::kNone ||
                      (parts_.chat_template != nullptr && parts_.chat_template->knows_thinking());
  if (request.wants_thoughts && !thinks) {
    return Error{ErrorCode::kUnsupported, "think: this model does not support thinking", "think"};
  }
  return AnswerChat(request.chat, caller, std::move(writer));
}

Service::Reply Service::OllamaChat(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(OllamaRequest request,
                      ParseOllamaChat(object, parts_.defaults, *parts_.tokenizer));
  return AnswerOllama(std::move(request), true, caller);
}

Service::Reply Service::OllamaGenerate(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(OllamaRequest request,
                      ParseOllamaGenerate(object, parts_.defaults, *parts_.tokenizer));
  return AnswerOllama(std::move(request), false, caller);
}

std::string OllamaTags(std::span<const ModelCard> cards) {
  JsonWriter w;
  w.BeginObject().Key("models").BeginArray();
  for (const ModelCard& card : cards) {
    w.BeginObject();
    WriteOllamaModel(card, &w);
    w.Key("modified_at").String(OllamaTime(card.modified_unix)).EndObject();
  }
  return w.EndArray().EndObject().Take();
}

std::string OllamaPs(std::span<const std::shared_ptr<const Service>> loaded) {
  JsonWriter w;
  w.BeginObject().Key("models").BeginArray();
  for (const auto& service : loaded) {
    w.BeginObject();
    service->WriteOllamaPs(&w);
    w.EndObject();
  }
  return w.EndArray().EndObject().Take();
}

void Service::WriteOllamaPs(JsonWriter* w) const {
  WriteOllamaModel(parts_.card, w);
  // No time is known at which it goes; 9999-12-31 is the last day that all clients can read.
  w->Key("expires_at").String(OllamaTime(253402300799));
  w->Key("size_vram").Int(0);
  w->Key("context_length").Int(limits().max_request_tokens);
}

Result<std::string> Service::OllamaShow(std::string_view body) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  std::string model;
  LB_RETURN_IF_ERROR(Fields(object).Read("model", &model));
  const ModelCard& card = parts_.card;
  const SamplingParams& sampling = parts_.defaults.sampling;
  JsonWriter w;
  w.BeginObject();
  w.Key("modelfile").String(fmt::format("FROM {}\n", card.path));
  w.Key("parameters")
      .String(fmt::format("num_ctx {}\ntemperature {}\ntop_k {}\ntop_p {}\nmin_p {}\n"
                          "repeat_penalty {}\n",
                          limits().max_request_tokens, sampling.temperature, sampling.top_k,
                          sampling.top_p, sampling.min_p, sampling.repeat_penalty));
  const text::ChatTemplate* chat = parts_.chat_template.get();
  w.Key("template").String(chat == nullptr ? "" : chat->source());
  WriteDetails(card, &w);
  w.Key("model_info").BeginObject();
  w.Key("general.architecture").String(card.arch);
  w.Key("general.name").String(card.name);
  w.Key("general.parameter_count").Int(card.num_parameters);
  w.Key(card.arch + ".context_length").Int(card.trained_context);
  w.Key(card.arch + ".embedding_length").Int(card.width);
  w.Key("tokenizer.ggml.model").String(parts_.tokenizer->model());
  w.EndObject();
  w.Key("capabilities").BeginArray().String(limits().pooling ? "embedding" : "completion");
  if (parts_.tokenizer->special().can_fill_in()) w.String("insert");
  if (chat != nullptr && chat->knows_tools()) w.String("tools");
  if (reasoning_.kind != ReasoningFormat::Kind::kNone) w.String("thinking");
  w.EndArray();
  w.Key("modified_at").String(OllamaTime(card.modified_unix));
  return w.EndObject().Take();
}

std::string Service::OllamaVersion() const {
  JsonWriter w;
  return w.BeginObject().Key("version").String(kOllamaVersion).EndObject().Take();
}

}  // namespace lb::api

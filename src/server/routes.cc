#include "server/routes.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "api/json_writer.h"
#include "server/openapi.h"

namespace lb::server {
namespace {

using ServicePtr = std::shared_ptr<const api::Service>;

HttpReply Loading(const Readiness& readiness, api::ErrorForm form) {
  if (form != api::ErrorForm::kOpenAi) {
    return ErrorReply(Error{ErrorCode::kUnavailable, "Loading model", {}}, form);
  }
  api::JsonWriter w;
  w.BeginObject().Key("error").BeginObject();
  w.Key("message").String("Loading model");
  w.Key("type").String("unavailable_error").Key("code").Int(503);
  w.Key("param").Null();
  w.Key("progress").Float(readiness.progress());
  w.EndObject().EndObject();
  HttpReply reply;
  reply.status = 503;
  reply.body = w.Take();
  reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

template <typename T>
Outcome ToOutcome(Result<T> result, api::ErrorForm form = api::ErrorForm::kOpenAi) {
  if (!result.has_value()) return ErrorReply(result.error(), form);
  if constexpr (std::is_same_v<T, std::string>) {
    return JsonReply(std::move(result).value());
  } else {
    return std::unique_ptr<api::PendingReply>(std::move(result).value());
  }
}

class Table {
 public:
  explicit Table(const Readiness& readiness) : readiness_(readiness) {}

  // `call` is asked once the model is there.
  template <typename Call>
  void Add(std::string_view method, std::string path, bool worker, bool open, Call call,
           api::ErrorForm form = api::ErrorForm::kOpenAi) {
    router_.Add({method, std::move(path), worker, open,
                 [&readiness = readiness_, call, form](const HttpRequest& request) -> Outcome {
                   const ServicePtr service = readiness.service();
                   if (service == nullptr) return Loading(readiness, form);
                   return call(*service, request);
                 },
                 form});
  }
  void AddRaw(Route route) { router_.Add(std::move(route)); }
  Router Take() { return std::move(router_); }

 private:
  const Readiness& readiness_;
  Router router_;
};

}  // namespace

// Every route is described in openapi.json: tests/server holds the two together.
Router MakeRoutes(const Readiness& readiness, const Metrics& metrics, bool slots) {
  Table table(readiness);
  const auto caller = [](const HttpRequest& request) {
    return api::Caller{request.request_id, request.peer};
  };
  using Form = api::ErrorForm;
  const auto reply = [&](std::string path, auto call, Form form = Form::kOpenAi) {
    table.Add(
        "POST", std::move(path), true, false,
        [caller, call, form](const api::Service& s, const HttpRequest& r) {
          return ToOutcome((s.*call)(r.body, caller(r)), form);
        },
        form);
  };
  const auto body = [&](std::string path, auto call, Form form = Form::kOpenAi) {
    table.Add(
        "POST", std::move(path), true, false,
        [call, form](const api::Service& s, const HttpRequest& r) {
          return ToOutcome((s.*call)(r.body), form);
        },
        form);
  };
  const auto info = [&](std::string path, auto call, Form form = Form::kOpenAi) {
    table.Add(
        "GET", std::move(path), false, false,
        [call](const api::Service& s, const HttpRequest&) -> Outcome {
          return JsonReply((s.*call)());
        },
        form);
  };
  for (const std::string at : {"/v1", ""}) {
    reply(at + "/chat/completions", &api::Service::Chat);
    body(at + "/chat/completions/input_tokens", &api::Service::CountChatTokens);
    reply(at + "/responses", &api::Service::Responses);
    body(at + "/responses/input_tokens", &api::Service::CountResponsesTokens);
    info(at + "/models", &api::Service::Models);
    table.Add("GET", at + "/health", false, true,
              [](const api::Service&, const HttpRequest&) -> Outcome {
                return JsonReply("{\"status\":\"ok\"}");
              });
  }
  reply("/v1/completions", &api::Service::Completion);
  // Without the prefix it is llama.cpp's own, as its users know it.
  reply("/completion", &api::Service::NativeCompletion);
  reply("/completions", &api::Service::NativeCompletion);
  reply("/infill", &api::Service::Infill);
  reply("/v1/messages", &api::Service::Messages, Form::kAnthropic);
  body("/v1/messages/count_tokens", &api::Service::CountMessagesTokens, Form::kAnthropic);
  reply("/v1/embeddings", &api::Service::OpenAiEmbeddings);
  reply("/embeddings", &api::Service::NativeEmbeddings);
  reply("/embedding", &api::Service::NativeEmbeddings);
  for (const std::string at : {"/v1", ""}) {
    reply(at + "/rerank", &api::Service::Rerank);
    reply(at + "/reranking", &api::Service::Rerank);
  }
  reply("/api/chat", &api::Service::OllamaChat, Form::kOllama);
  reply("/api/generate", &api::Service::OllamaGenerate, Form::kOllama);
  reply("/api/embed", &api::Service::OllamaEmbed, Form::kOllama);
  reply("/api/embeddings", &api::Service::OllamaEmbeddings, Form::kOllama);
  body("/api/show", &api::Service::OllamaShow, Form::kOllama);
  info("/api/tags", &api::Service::OllamaTags, Form::kOllama);
  info("/api/ps", &api::Service::OllamaPs, Form::kOllama);
  info("/api/version", &api::Service::OllamaVersion, Form::kOllama);
  body("/tokenize", &api::Service::Tokenize);
  body("/detokenize", &api::Service::Detokenize);
  body("/apply-template", &api::Service::ApplyTemplate);
  info("/lora-adapters", &api::Service::ListAdapters);
  body("/lora-adapters", &api::Service::SetAdapters);
  table.Add("GET", "/slots", false, false,
            [slots](const api::Service& s, const HttpRequest& r) -> Outcome {
              if (!slots) {
                return ErrorReply(501, "not_supported_error", "/slots is off (--no-slots)");
              }
              const bool must_be_free = r.query.find("fail_on_no_slot=1") != std::string::npos;
              if (must_be_free && s.Stats().running >= s.limits().max_sequences) {
                return ErrorReply(Error{ErrorCode::kUnavailable, "no slot is free", {}});
              }
              return JsonReply(s.Slots());
            });
  table.Add("GET", "/kv", true, false,
            [](const api::Service& s, const HttpRequest&) { return ToOutcome(s.Kv()); });
  // On a worker, since only those are watched for clients that leave.
  table.Add("GET", "/kv/events", true, false, [](const api::Service& s, const HttpRequest& r) {
    return ToOutcome(s.KvEventStream(r.query));
  });
  info("/props", &api::Service::Props);
  table.AddRaw({"GET", "/openapi.json", false, false, [](const HttpRequest&) -> Outcome {
                  return JsonReply(std::string(OpenApiJson()));
                }});
  table.AddRaw(
      {"GET", "/metrics", false, false, [&readiness, &metrics](const HttpRequest&) -> Outcome {
         HttpReply reply;
         reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
         reply.headers.emplace_back("Process-Start-Time-Unix",
                                    std::to_string(metrics.start_unix()));
         if (const ServicePtr service = readiness.service()) {
           const EngineStats stats = service->Stats();
           reply.body = metrics.Text(&stats, &service->limits());
         } else {
           reply.body = metrics.Text(nullptr, nullptr);
         }
         return reply;
       }});
  return table.Take();
}

}  // namespace lb::server

#include "server/routes.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "server/model_routes.h"
#include "server/openapi.h"
#include "server/watched_reply.h"

namespace lb::server {
namespace {

template <typename T>
Outcome ToOutcome(Result<T> result, api::ErrorForm form = api::ErrorForm::kOpenAi) {
  if (!result.has_value()) return ErrorReply(result.error(), form);
  if constexpr (std::is_same_v<T, std::string>) {
    return JsonReply(std::move(result).value());
  } else {
    return std::unique_ptr<api::PendingReply>(std::move(result).value());
  }
}

// An endless reply holds its model only until somebody wants it gone.
Outcome LookOn(ModelSource& models, const HttpRequest& request,
               std::unique_ptr<api::PendingReply> reply, api::ErrorForm form) {
  const auto name = ModelOf(request, models);
  if (!name.has_value()) return ErrorReply(name.error(), form);
  ModelSource::Watch watch = models.LookOn(*name);
  if (watch.lease == nullptr) {
    return ErrorReply(Error{ErrorCode::kUnavailable, "the model is not loaded", {}}, form);
  }
  std::unique_ptr<api::PendingReply> watched =
      std::make_unique<WatchedReply>(std::move(reply), std::move(watch.end));
  watched->KeepAlive(std::move(watch.lease));
  return watched;
}

class Table {
 public:
  explicit Table(ModelSource& models) : models_(models) {}

  // `call` is asked once the model that the request names is there. Requests with a body wait for
  // one that is not; the others do not bring it up.
  template <typename Call>
  void Add(std::string_view method, std::string path, bool worker, bool open, Call call,
           api::ErrorForm form = api::ErrorForm::kOpenAi) {
    router_.Add({method, std::move(path), worker, open,
                 [&models = models_, call, form](const HttpRequest& request) -> Outcome {
                   Lease lease = request.lease;
                   if (lease == nullptr) {
                     const auto name = ModelOf(request, models);
                     if (!name.has_value()) return ErrorReply(name.error(), form);
                     const Purpose purpose = request.method != "POST"       ? Purpose::kLook
                                             : WantsLoad(request, models) ? Purpose::kLoad
                                                                          : Purpose::kUse;
                     const ModelSource::Found found = models.Find(*name, purpose);
                     if (found.lease == nullptr) return NotThere(found, form);
                     lease = found.lease;
                   }
                   Outcome outcome = call(*lease, request);
                   if (auto* reply = std::get_if<std::unique_ptr<api::PendingReply>>(&outcome)) {
                     if ((*reply)->endless()) return LookOn(models, request, std::move(*reply), form);
                     (*reply)->KeepAlive(std::move(lease));
                   }
                   return outcome;
                 },
                 form});
  }
  Router& router() { return router_; }
  Router Take() { return std::move(router_); }

 private:
  ModelSource& models_;
  Router router_;
};

}  // namespace

// Every route is described in openapi.json: tests/server holds the two together.
Router MakeRoutes(ModelSource& models, const Metrics& metrics, bool slots) {
  Table table(models);
  AddModelRoutes(models, &table.router());
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
  table.router().Add({"GET", "/openapi.json", false, false, [](const HttpRequest&) -> Outcome {
                  return JsonReply(std::string(OpenApiJson()));
                }});
  table.router().Add(
      {"GET", "/metrics", false, false, [&models, &metrics](const HttpRequest& request) -> Outcome {
         const auto name = ModelOf(request, models);
         if (!name.has_value()) return ErrorReply(name.error());
         ModelSource::Found found;
         if (!models.many() || !name->empty()) found = models.Find(*name, Purpose::kLook);
         HttpReply reply;
         reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
         reply.headers.emplace_back("Process-Start-Time-Unix",
                                    std::to_string(metrics.start_unix()));
         if (found.lease != nullptr) {
           const EngineStats stats = found.lease->Stats();
           reply.body = metrics.Text(&stats, &found.lease->limits());
         } else if (found.figures) {
           reply.body = metrics.Text(&found.figures->stats, &found.figures->limits);
         } else {
           reply.body = metrics.Text(nullptr, nullptr);
         }
         return reply;
       }});
  return table.Take();
}

}  // namespace lb::server

#include "server/routes.h"

#include <fmt/format.h>

#include <utility>

#include "api/json_writer.h"

namespace lb::server {
namespace {

using ServicePtr = std::shared_ptr<const api::Service>;

HttpReply Loading(const Readiness& readiness) {
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
Outcome ToOutcome(Result<T> result) {
  if (!result.has_value()) return ErrorReply(result.error());
  if constexpr (std::is_same_v<T, std::string>) {
    return JsonReply(std::move(result).value());
  } else {
    return std::move(result).value();
  }
}

class Table {
 public:
  explicit Table(const Readiness& readiness) : readiness_(readiness) {}

  // `call` is asked once the model is there.
  template <typename Call>
  void Add(std::string_view method, std::string path, bool worker, bool open, Call call) {
    router_.Add({method, std::move(path), worker, open,
                 [&readiness = readiness_, call](const HttpRequest& request) -> Outcome {
                   const ServicePtr service = readiness.service();
                   if (service == nullptr) return Loading(readiness);
                   return call(*service, request);
                 }});
  }
  void AddRaw(Route route) { router_.Add(std::move(route)); }
  Router Take() { return std::move(router_); }

 private:
  const Readiness& readiness_;
  Router router_;
};

}  // namespace

Router MakeRoutes(const Readiness& readiness, const Metrics& metrics) {
  Table table(readiness);
  const auto caller = [](const HttpRequest& request) {
    return api::Caller{request.request_id, request.peer};
  };
  for (const char* prefix : {"/v1", ""}) {
    const std::string at = prefix;
    table.Add("POST", at + "/chat/completions", true, false,
              [caller](const api::Service& s, const HttpRequest& r) {
                return ToOutcome(s.Chat(r.body, caller(r)));
              });
    table.Add("POST", at + "/completions", true, false,
              [caller](const api::Service& s, const HttpRequest& r) {
                return ToOutcome(s.Completion(r.body, caller(r)));
              });
    table.Add("GET", at + "/models", false, false,
              [](const api::Service& s, const HttpRequest&) -> Outcome {
                return JsonReply(s.Models());
              });
  }
  table.Add("POST", "/tokenize", true, false, [](const api::Service& s, const HttpRequest& r) {
    return ToOutcome(s.Tokenize(r.body));
  });
  table.Add("POST", "/detokenize", true, false, [](const api::Service& s, const HttpRequest& r) {
    return ToOutcome(s.Detokenize(r.body));
  });
  table.Add("GET", "/kv", true, false, [](const api::Service& s, const HttpRequest&) {
    return ToOutcome(s.Kv());
  });
  table.Add("GET", "/props", false, false,
            [](const api::Service& s, const HttpRequest&) -> Outcome {
              return JsonReply(s.Props());
            });
  table.Add("GET", "/health", false, true,
            [](const api::Service&, const HttpRequest&) -> Outcome {
              return JsonReply("{\"status\":\"ok\"}");
            });
  table.AddRaw({"GET", "/metrics", false, false,
                [&readiness, &metrics](const HttpRequest&) -> Outcome {
                  HttpReply reply;
                  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
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

#include "server/model_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "api/json_reader.h"
#include "api/json_writer.h"
#include "api/ollama/ollama_models.h"

namespace lb::server {
namespace {

std::string_view StateName(ModelState state) {
  switch (state) {
    case ModelState::kUnloaded: return "unloaded";
    case ModelState::kLoading: return "loading";
    case ModelState::kLoaded: return "loaded";
    case ModelState::kSleeping: return "sleeping";
  }
  return "unloaded";
}

// The value of `key` in a query, with its %XX and + undone; nothing when it is not there.
std::optional<std::string> QueryValue(std::string_view query, std::string_view key) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    if (pair.substr(0, equals) != key || equals == std::string_view::npos) continue;
    std::string value;
    for (size_t i = equals + 1; i < pair.size(); ++i) {
      unsigned char code = 0;
      if (pair[i] == '%' && i + 2 < pair.size() &&
          std::from_chars(&pair[i + 1], &pair[i + 1] + 2, code, 16).ptr == &pair[i + 1] + 2) {
        value += static_cast<char>(code);
        i += 2;
      } else {
        value += pair[i] == '+' ? ' ' : pair[i];
      }
    }
    return value;
  }
  return std::nullopt;
}

std::string ListReply(const ModelSource& models) {
  api::JsonWriter w;
  w.BeginObject().Key("object").String("list").Key("data").BeginArray();
  for (const ModelInfo& info : models.List()) {
    w.BeginObject();
    if (info.lease != nullptr) {
      info.lease->WriteModel(&w);
    } else {
      api::WriteUnloadedModel(info.card, &w);
    }
    w.Key("path").String(info.card.path);
    w.Key("status").BeginObject().Key("value").String(StateName(info.state));
    if (info.state == ModelState::kLoading) w.Key("progress").Float(info.progress);
    if (!info.error.empty()) w.Key("failed").Bool(true).Key("error").String(info.error);
    w.EndObject().EndObject();
  }
  return w.EndArray().EndObject().Take();
}

Outcome Health(const ModelSource& models) {
  api::JsonWriter w;
  w.BeginObject().Key("status").String("ok");
  if (models.many()) {
    w.Key("models").BeginObject();
    for (const ModelInfo& info : models.List()) {
      if (info.state == ModelState::kUnloaded && info.error.empty()) continue;
      w.Key(info.card.alias).BeginObject().Key("status").String(StateName(info.state));
      if (info.state == ModelState::kLoading) w.Key("progress").Float(info.progress);
      if (!info.error.empty()) w.Key("error").String(info.error);
      w.EndObject();
    }
    w.EndObject();
  }
  return JsonReply(w.EndObject().Take());
}

std::string RouterProps(const ModelSource& models) {
  api::JsonWriter w;
  w.BeginObject().Key("role").String("router").Key("max_instances").Int(models.most_models());
  w.Key("models_autoload").Bool(models.autoload());
  return w.EndObject().Take();
}

// {"model": name}, of POST /models/load and /models/unload.
Result<std::string> NamedModel(std::string_view body) {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, api::ParseJsonObject(body));
  return api::Fields(object).RequiredString("model");
}

Outcome Done(const Result<void>& result) {
  if (!result.has_value()) return ErrorReply(result.error());
  return JsonReply("{\"success\":true}");
}

}  // namespace

Result<std::string> ModelOf(const HttpRequest& request, const ModelSource& models) {
  if (!models.many()) return std::string();
  if (auto name = QueryValue(request.query, "model")) return *name;
  if (request.method != "POST") return std::string();
  LB_ASSIGN_OR_RETURN(const boost::json::value body, api::ParseJson(request.body));
  std::string name;
  if (body.is_object()) LB_RETURN_IF_ERROR(api::Fields(body.get_object()).Read("model", &name));
  return name;
}

HttpReply LoadingReply(float progress, api::ErrorForm form) {
  if (form != api::ErrorForm::kOpenAi) {
    return ErrorReply(Error{ErrorCode::kUnavailable, "Loading model", {}}, form);
  }
  api::JsonWriter w;
  w.BeginObject().Key("error").BeginObject();
  w.Key("message").String("Loading model");
  w.Key("type").String("unavailable_error").Key("code").Int(503);
  w.Key("param").Null();
  w.Key("progress").Float(progress);
  w.EndObject().EndObject();
  HttpReply reply;
  reply.status = 503;
  reply.body = w.Take();
  reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

Outcome NotThere(const ModelSource::Found& found, api::ErrorForm form) {
  if (found.ticket != nullptr) return found.ticket;
  if (found.starting) return LoadingReply(*found.starting, form);
  return ErrorReply(found.error.value_or(Error{ErrorCode::kUnavailable, "the model is not loaded", {}}),
                    form);
}

bool WantsLoad(const HttpRequest& request, const ModelSource& models) {
  const auto wish = QueryValue(request.query, "autoload");
  if (!wish) return models.autoload();
  return *wish == "true" || *wish == "1";
}

void AddModelRoutes(ModelSource& models, Router* router) {
  const auto form = api::ErrorForm::kOpenAi;
  // While the only model comes up for the first time nothing is told, as ever.
  const auto once_up = [&models, form](auto&& reply) {
    return [&models, form, reply](const HttpRequest& request) -> Outcome {
      if (!models.many()) {
        const ModelSource::Found found = models.Find("", Purpose::kLook);
        if (found.starting) return LoadingReply(*found.starting, form);
      }
      return reply(request);
    };
  };
  for (const std::string at : {"/v1", ""}) {
    router->Add({"GET", at + "/models", false, false,
                 once_up([&models](const HttpRequest&) { return JsonReply(ListReply(models)); })});
    router->Add({"GET", at + "/health", false, true,
                 once_up([&models](const HttpRequest&) { return Health(models); })});
  }
  router->Add({"GET", "/props", false, false,
               once_up([&models, form](const HttpRequest& request) -> Outcome {
                 const auto name = ModelOf(request, models);
                 if (!name.has_value()) return ErrorReply(name.error());
                 if (models.many() && name->empty()) return JsonReply(RouterProps(models));
                 const ModelSource::Found found = models.Find(*name, Purpose::kLook);
                 if (found.lease != nullptr) return JsonReply(found.lease->Props());
                 if (!found.props.empty()) return JsonReply(found.props);
                 return NotThere(found, form);
               })});
  router->Add({"POST", "/models/load", true, false, [&models](const HttpRequest& request) -> Outcome {
                 const auto name = NamedModel(request.body);
                 return name.has_value() ? Done(models.Load(*name)) : ErrorReply(name.error());
               }});
  router->Add({"POST", "/models/unload", true, false, [&models](const HttpRequest& request) -> Outcome {
                 const auto name = NamedModel(request.body);
                 return name.has_value() ? Done(models.Unload(*name)) : ErrorReply(name.error());
               }});
  router->Add({"GET", "/api/tags", false, false,
               once_up([&models](const HttpRequest&) -> Outcome {
                 std::vector<api::ModelCard> cards;
                 for (const ModelInfo& info : models.List()) cards.push_back(info.card);
                 return JsonReply(api::OllamaTags(cards));
               }),
               api::ErrorForm::kOllama});
  router->Add({"GET", "/api/ps", false, false,
               once_up([&models](const HttpRequest&) -> Outcome {
                 std::vector<std::shared_ptr<const api::Service>> loaded;
                 for (const ModelInfo& info : models.List()) {
                   if (info.lease != nullptr) loaded.push_back(info.lease);
                 }
                 return JsonReply(api::OllamaPs(loaded));
               }),
               api::ErrorForm::kOllama});
}

}  // namespace lb::server

// Routes about models: finding the one that a request names, listing, loading and unloading them.
#pragma once

#include <string>

#include "server/http.h"
#include "server/model_source.h"
#include "server/router.h"

namespace lb::server {

// The model that a request asks for: ?model= of its query, or "model" of its body; "" when it names
// none, or when the source has only one.
Result<std::string> ModelOf(const HttpRequest& request, const ModelSource& models);

// Whether it may load that model: ?autoload= of its query, else what the source says.
bool WantsLoad(const HttpRequest& request, const ModelSource& models);

// The reply while the only model is loaded for the first time.
HttpReply LoadingReply(float progress, api::ErrorForm form);

// What is said of `found` when it has no lease.
Outcome NotThere(const ModelSource::Found& found, api::ErrorForm form);

// /models, /v1/models, /models/load, /models/unload, /health, /props, Ollama's lists.
void AddModelRoutes(ModelSource& models, Router* router);

}  // namespace lb::server

// Ollama's lists of models.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "api/service.h"

namespace lb::api {

// /api/tags: all there are. /api/ps: those in memory.
std::string OllamaTags(std::span<const ModelCard> cards);
std::string OllamaPs(std::span<const std::shared_ptr<const Service>> loaded);

}  // namespace lb::api

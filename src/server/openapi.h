// /openapi.json: the description of every endpoint, compiled in from src/server/openapi/.
#pragma once

#include <string_view>

namespace lb::server {

std::string_view OpenApiJson();

}  // namespace lb::server

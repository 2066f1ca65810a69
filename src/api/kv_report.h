// GET /kv: the cache as JSON.
#pragma once

#include <string>

#include "engine/engine_client.h"

namespace lb::api {

// The pools, the sequences and the prefix tree: counts, ages and request ids, no text, no token
// ids.
std::string KvReport(const EngineSnapshot& snapshot, const EngineLimits& limits);

}  // namespace lb::api

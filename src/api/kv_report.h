// The cache as JSON, for GET /kv and GET /kv/events.
#pragma once

#include <string>

#include "engine/engine_client.h"

namespace lb::api {

// The pools, the sequences and the prefix tree: counts, ages and request ids, no text, no token
// ids. With `maps` also what every block is doing (engine/block_map.h), and what the
// picture cost the engine.
std::string KvReport(const EngineSnapshot& snapshot, const EngineLimits& limits, bool maps = false);

}  // namespace lb::api

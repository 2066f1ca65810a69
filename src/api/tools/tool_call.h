// What a model calls, as it becomes known.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lb::api {

struct ToolCallDelta {
  int index = 0;          // of the call within its answer
  std::string id, name;   // set in a call's first delta, empty in later ones
  std::string arguments;  // the next bytes of its arguments, which joined are JSON text
  bool first() const { return !name.empty(); }
};

// A call as far as it came.
struct ToolCall {
  std::string id, name, arguments;
};

// Adds `delta`, the next one of its answer, to `calls`.
inline void AddDelta(const ToolCallDelta& delta, std::vector<ToolCall>* calls) {
  if (delta.first()) calls->push_back({delta.id, delta.name, {}});
  calls->back().arguments += delta.arguments;
}

}  // namespace lb::api

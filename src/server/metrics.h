// /metrics: Prometheus text of the engine's numbers and of the requests seen.
#pragma once

#include <memory>
#include <string>

#include "api/service.h"
#include "server/http_server.h"

namespace lb::server {

// Thread-safe. Names follow vLLM's where the meaning is the same; llama.cpp's are there too.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  void OnRequest(const RequestLog& log);
  // `stats` and `limits` are null while the model loads.
  std::string Text(const EngineStats* stats, const EngineLimits* limits) const;
  // When it was made.
  int64_t start_unix() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lb::server

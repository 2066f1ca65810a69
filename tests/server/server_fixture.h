// A server on a free port, on top of an engine that does as it is told.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/http_server.h"
#include "server/metrics.h"
#include "server/readiness.h"
#include "server/routes.h"
#include "tests/api/fakes.h"
#include "tests/server/test_client.h"

namespace lb::server {

inline constexpr char kChat[] = "/v1/chat/completions";

inline std::string ChatBody(bool stream, int max_tokens) {
  return "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":" +
         std::string(stream ? "true" : "false") + ",\"max_tokens\":" + std::to_string(max_tokens) + "}";
}

struct TestServer {
  // `pace`: between the tokens of every answer.
  explicit TestServer(ServerConfig config = {}, std::chrono::milliseconds pace = std::chrono::milliseconds(2),
                      bool ready = true)
      : engine(pace) {
    if (ready) SetReady();
    if (config.host == "127.0.0.1") config.port = 0;
    auto listening = HttpServer::Listen(std::move(config), MakeRoutes(readiness, metrics),
                                        [this](const RequestLog& log) {
                                          metrics.OnRequest(log);
                                          ++logged;
                                        });
    EXPECT_TRUE(listening.has_value()) << listening.error().message;
    http = std::move(listening).value();
    http->Start();
  }
  void SetReady() { readiness.SetReady(MakeFakeService(&engine)); }
  TestClient Connect() const { return TestClient(http->port()); }

  FakeEngine engine;
  Readiness readiness;
  Metrics metrics;
  std::atomic<int> logged{0};
  std::unique_ptr<HttpServer> http;
};

// Waits for what another thread does; false after `ms`.
template <typename Condition>
bool Eventually(Condition condition, int ms = 5000) {
  for (int i = 0; i < ms; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return condition();
}

}  // namespace lb::server

// The HTTP server: sockets, limits and time. Routes say what is answered.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "server/router.h"

namespace lb::server {

struct ServerConfig {
  std::string host = "127.0.0.1";  // an address, a name, or a unix socket when it ends in .sock
  int port = 8080;                 // 0: any free one
  int io_threads = 2;
  int worker_threads = 2;          // parsing, templates, tokenizing
  size_t max_body_bytes = size_t{64} << 20;
  uint32_t max_header_bytes = 64 << 10;
  double idle_seconds = 60;        // for the next request's head
  double body_seconds = 60;        // for a request's body, and for each write to a client
  double comment_seconds = 10;     // a stream silent for this long sends a comment line
  double drain_seconds = 1.5;      // running answers may take this long after Stop
  std::vector<std::string> api_keys;      // empty: everybody may ask
  std::vector<std::string> cors_origins;  // empty: no page of another origin may
  std::string tls_cert_file, tls_key_file;  // PEM; empty: no TLS
};

// What the server tells of each request that it has answered. Called on I/O threads.
struct RequestLog {
  const HttpRequest* request = nullptr;
  int status = 0;  // 0: the client was gone before there was one
  double seconds = 0;
  const api::PendingReply* generation = nullptr;  // null for plain replies
  bool client_gone = false;
};

class HttpServer {
 public:
  // Binds and listens; errors name the address. `on_request` may be null.
  static Result<std::unique_ptr<HttpServer>> Listen(ServerConfig config, Router router,
                                                    std::function<void(const RequestLog&)> on_request);
  ~HttpServer();

  int port() const;          // the one that was bound
  std::string url() const;   // where to point a client
  void Start();              // threads begin to serve
  // Stops accepting, lets running answers go on for drain_seconds, ends the rest with an error of
  // their own, and returns when every thread is gone. Any thread but the server's own.
  void Stop();
  int num_connections() const;

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lb::server

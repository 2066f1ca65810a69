// Which handler answers which method and path.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/http.h"

namespace lb::server {

struct Route {
  std::string_view method;
  std::string path;
  // On a worker thread, since it takes time in proportion to the body; else on the I/O thread.
  bool worker = false;
  bool open = false;  // needs no API key
  std::function<Outcome(const HttpRequest&)> handler;
  api::ErrorForm errors = api::ErrorForm::kOpenAi;
};

// Filled before the server starts, constant from then on.
class Router {
 public:
  void Add(Route route) { routes_.push_back(std::move(route)); }
  const std::vector<Route>& routes() const { return routes_; }
  // HEAD finds what GET finds. Null when there is none; then `*allow` lists the methods that the
  // path has ("" for an unknown path).
  const Route* Find(std::string_view method, std::string_view path, std::string* allow) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace lb::server

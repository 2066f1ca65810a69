#include "server/router.h"

namespace lb::server {

const Route* Router::Find(std::string_view method, std::string_view path,
                          std::string* allow) const {
  allow->clear();
  if (method == "HEAD") method = "GET";
  for (const Route& route : routes_) {
    if (route.path != path) continue;
    if (route.method == method) return &route;
    if (!allow->empty()) *allow += ", ";
    *allow += route.method;
    if (route.method == "GET") *allow += ", HEAD";
  }
  if (!allow->empty()) *allow += ", OPTIONS";
  return nullptr;
}

}  // namespace lb::server

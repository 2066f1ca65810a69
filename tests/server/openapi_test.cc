// The description of the endpoints and the endpoints are the same: no route without a description,
// no description without a route.
#include "server/openapi.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

#include "api/json_reader.h"
#include "server/readiness.h"
#include "server/routes.h"

namespace lb::server {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

TEST(OpenApi, DescribesExactlyWhatIsThere) {
  const auto document = api::ParseJsonObject(OpenApiJson());
  ASSERT_TRUE(document.has_value()) << document.error().message;
  EXPECT_EQ(document->at("openapi").as_string(), "3.1.0");
  EXPECT_EQ(document->at("info").at("version").as_string().find('@'), std::string::npos);
  std::set<std::string> described, there;
  for (const auto& [path, methods] : document->at("paths").as_object()) {
    for (const auto& [method, operation] : methods.as_object()) {
      described.insert(std::string(method) + " " + std::string(path));
      EXPECT_TRUE(operation.as_object().contains("responses"));
    }
  }
  Readiness readiness;
  const Metrics metrics;
  const Router router = MakeRoutes(readiness, metrics);
  for (const Route& route : router.routes()) {
    there.insert(Lower(route.method) + " " + route.path);
  }
  EXPECT_EQ(described, there);
}

}  // namespace
}  // namespace lb::server

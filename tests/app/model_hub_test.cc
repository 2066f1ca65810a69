#include "app/model_hub.h"

#include <gtest/gtest.h>

#include <future>

namespace lb::app {
namespace {

std::vector<ListedModel> One(const char* path) {
  std::vector<ListedModel> models(1);
  models[0].name = "one";
  models[0].path = path;
  return models;
}

// The server listens before its hub works: what asks in between, as a supervisor's look at /health
// does, must not be told that all is well.
TEST(ModelHub, TheOnlyModelIsOnItsWayUpBeforeTheHubWorks) {
  ModelHub hub({}, {}, One("none.gguf"));
  const server::ModelSource::Found found = hub.Find("", server::Purpose::kLook);
  ASSERT_TRUE(found.starting.has_value());
  EXPECT_EQ(*found.starting, 0.0f);
  EXPECT_FALSE(found.error.has_value());
}

TEST(ModelHub, IsNoLongerOnItsWayUpWhenItCannotBeLoaded) {
  ModelHub hub({}, {}, One("none.gguf"));
  std::promise<Result<void>> how;
  hub.Start({}, [&](Result<void> result) { how.set_value(std::move(result)); });
  EXPECT_FALSE(how.get_future().get().has_value());
  EXPECT_FALSE(hub.Find("", server::Purpose::kLook).starting.has_value());
}

// Of many, none is loaded unless somebody asks.
TEST(ModelHub, OneOfManyIsNotOnItsWayUp) {
  ModelHub hub({.many = true}, {}, One("none.gguf"));
  EXPECT_FALSE(hub.Find("one", server::Purpose::kLook).starting.has_value());
}

}  // namespace
}  // namespace lb::app

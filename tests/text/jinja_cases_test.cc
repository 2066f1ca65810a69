// Feature by feature, our engine does what Python's jinja2 does: jinja_cases.json holds some
// thousand small templates with jinja2's answers (see jinja_cases.py).
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>

#include "tests/text/jinja_test_util.h"
#include "text/jinja/from_json.h"

namespace lb::text::jinja {
namespace {

namespace json = boost::json;

class JinjaCases : public testing::Test {
 protected:
  void SetUp() override {
    std::ifstream in("tests/text/jinja_cases.json", std::ios::binary);
    if (!in) GTEST_SKIP() << "run in the root of the repository: tests/text/jinja_cases.json";
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    data_ = json::parse(text);
    for (const auto& [name, value] : data_.at("context").as_object()) {
      context_.emplace_back(std::string(name), *FromJson(value));
    }
    setenv("TZ", "UTC", 1);
    tzset();
  }

  json::value data_;
  Context context_;
};

TEST_F(JinjaCases, SameAsPython) {
  std::map<std::string, int> counts;
  for (const json::value& entry : data_.at("cases").as_array()) {
    const json::object& one = entry.as_object();
    const std::string source(one.at("template").as_string());
    ++counts[std::string(one.at("feature").as_string())];
    SCOPED_TRACE(source);
    const auto program = Template::Parse(source);
    const auto text = program.has_value() ? (*program)->Render(context_, data_.at("now").as_int64())
                                          : Result<TaintedText>(program.error());
    if (const json::value* expected = one.if_contains("text")) {
      EXPECT_EQ(text.has_value() ? text->str() : text.error().message,
                std::string(expected->as_string()));
    } else {
      ASSERT_FALSE(text.has_value()) << "rendered: " << text->str();
      const json::value& refused = one.at("refused");
      if (refused.is_string()) {
        EXPECT_EQ(text.error().message, std::string(refused.as_string()));
      }
    }
  }
  EXPECT_GE(counts.size(), 20u);
}

}  // namespace
}  // namespace lb::text::jinja

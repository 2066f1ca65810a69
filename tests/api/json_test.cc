// JSON in and out: what is refused, where the message points, and the spelling of what is written.
#include <gtest/gtest.h>

#include <limits>

#include "api/errors.h"
#include "api/json_reader.h"
#include "api/json_writer.h"

namespace lb::api {
namespace {

std::string Message(std::string_view text) {
  const auto result = ParseJson(text);
  return result.has_value() ? "" : result.error().message;
}

TEST(ParseJson, RefusesWhatIsNotOneValue) {
  for (const char* bad :
       {"", " ", "{", "{\"a\":}", "{\"a\":1}x", "[1,]", "\"\\x\"", "nul", "\xEF\xBB\xBF{}",
        "{\"a\":\"\xff\"}", "\"\\ud800\"", "{\"a\" 1}", "{a:1}", "\x7b\x00\x22"}) {
    const auto result = ParseJson(bad);
    ASSERT_FALSE(result.has_value()) << bad;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(ParseJson, PointsAtThePlace) {
  EXPECT_NE(Message("{\n  \"a\": 1,\n  \"b\": oops\n}").find("line 3, column 8"), std::string::npos)
      << Message("{\n  \"a\": 1,\n  \"b\": oops\n}");
}

TEST(ParseJson, LimitsNesting) {
  const std::string ok = std::string(100, '[') + std::string(100, ']');
  EXPECT_EQ(Message(ok), "");
  const std::string bomb(100000, '[');
  EXPECT_NE(Message(bomb).find("nested deeper"), std::string::npos);
  std::string objects;
  for (int i = 0; i < 5000; ++i) objects += "{\"a\":";
  EXPECT_NE(Message(objects).find("nested deeper"), std::string::npos);
}

TEST(ParseJson, LastOfEqualKeysCounts) {
  EXPECT_EQ(ParseJsonObject("{\"a\":1,\"a\":2}")->at("a").as_int64(), 2);
}

TEST(JsonWriter, Numbers) {
  JsonWriter w;
  w.BeginArray().Double(1.0).Double(-0.5).Double(1e300).Float(0.1f).Float(-2.0f).Int(-3);
  w.Double(std::numeric_limits<double>::quiet_NaN());
  w.Float(std::numeric_limits<float>::infinity()).EndArray();
  EXPECT_EQ(w.text(), "[1.0,-0.5,1e+300,0.1,-2.0,-3,null,null]");
  EXPECT_TRUE(ParseJson(w.text()).has_value());
}

TEST(JsonWriter, StringsAreAlwaysValid) {
  JsonWriter w;
  w.BeginObject().Key("k\"").String("a\"b\\c\n\x01 \xC3\xA9 \xF0\x9F\x98\x80 \xff\xC3").EndObject();
  EXPECT_EQ(w.text(),
            "{\"k\\\"\":\"a\\\"b\\\\c\\n\\u0001 \xC3\xA9 \xF0\x9F\x98\x80 "
            "\xEF\xBF\xBD\xEF\xBF\xBD\"}");
  EXPECT_TRUE(ParseJson(w.text()).has_value());
}

TEST(JsonWriter, CommasAndNesting) {
  JsonWriter w;
  w.BeginObject().Key("a").BeginArray().BeginObject().EndObject().BeginArray().EndArray().Null();
  w.EndArray().Key("b").Bool(true).Key("c").String("").EndObject();
  EXPECT_EQ(w.text(), "{\"a\":[{},[],null],\"b\":true,\"c\":\"\"}");
}

TEST(JsonWriter, ValuesKeepOrderAndKind) {
  const std::string text = "{\"z\":1,\"a\":[true,null,1.0,18446744073709551615,-1,\"x\"],\"m\":{}}";
  JsonWriter w;
  w.Value(ParseJson(text).value());
  EXPECT_EQ(w.text(), text);
}

TEST(Errors, EveryCodeHasItsStatus) {
  EXPECT_EQ(View(ErrorCode::kInvalidArgument).status, 400);
  EXPECT_EQ(View(ErrorCode::kTooLong).status, 400);
  EXPECT_EQ(View(ErrorCode::kTooLong).code, "context_length_exceeded");
  Error too_long{ErrorCode::kTooLong, "long", "prompt"};
  too_long.prompt_tokens = 9;
  too_long.context_tokens = 8;
  EXPECT_EQ(ErrorJson(too_long),
            "{\"error\":{\"message\":\"long\",\"type\":\"exceed_context_size_error\","
            "\"param\":\"prompt\",\"code\":\"context_length_exceeded\","
            "\"n_prompt_tokens\":9,\"n_ctx\":8}}");
  EXPECT_EQ(View(ErrorCode::kOverloaded).status, 429);
  EXPECT_TRUE(View(ErrorCode::kOverloaded).retry_after);
  EXPECT_EQ(View(ErrorCode::kUnavailable).status, 503);
  EXPECT_EQ(View(ErrorCode::kComputeFault).status, 500);
  EXPECT_EQ(ErrorJson(Error{ErrorCode::kInvalidArgument, "no \"x\"", "top_p"}),
            "{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":\"invalid_request_error\","
            "\"param\":\"top_p\",\"code\":400}}");
}

TEST(Errors, EachApiHasItsOwnShape) {
  const Error bad = Error{ErrorCode::kInvalidArgument, "no \"x\"", "top_p"};
  EXPECT_EQ(ErrorJson(bad, ErrorForm::kOllama), R"({"error":"no \"x\""})");
  EXPECT_EQ(ErrorJson(bad, ErrorForm::kAnthropic),
            R"({"type":"error","error":{"type":"invalid_request_error","message":"no \"x\"",)"
            R"("param":"top_p"}})");
  const std::pair<int, const char*> types[] = {
      {400, "invalid_request_error"}, {401, "authentication_error"},
      {404, "not_found_error"},       {405, "invalid_request_error"},
      {408, "timeout_error"},         {413, "request_too_large"},
      {429, "rate_limit_error"},      {500, "api_error"},
      {503, "overloaded_error"}};
  for (const auto& [status, type] : types) {
    EXPECT_EQ(ErrorJson(status, "x", "y", "m", ErrorForm::kAnthropic),
              fmt::format(R"({{"type":"error","error":{{"type":"{}","message":"m"}}}})", type));
  }
}

}  // namespace
}  // namespace lb::api

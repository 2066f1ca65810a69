// Proves, keyword by keyword, that what a schema accepts is what JSON Schema accepts (or less,
// never more), and that what cannot be enforced is refused with keyword and place (case C22).
#include <gmock/gmock.h>

#include <vector>

#include "grammar_fixture.h"

namespace lb::grammar {
namespace {

using ::testing::HasSubstr;

struct Case {
  const char* schema;
  std::vector<const char*> right, wrong;
};

class Schema : public GrammarTest {
 protected:
  void Check(const Case& c) {
    for (const char* text : c.right)
      EXPECT_TRUE(FitsSchema(c.schema, text)) << c.schema << "\n" << text;
    for (const char* text : c.wrong)
      EXPECT_FALSE(FitsSchema(c.schema, text)) << c.schema << "\n" << text;
  }
};

TEST_F(Schema, Strings) {
  Check({R"({"type":"string"})",
         {R"("")", R"("a\"b\\\n")", "\"\xC3\xA9\""},
         {"1", R"("a"b")", "\"a\nb\""}});
  Check({R"({"type":"string","minLength":2,"maxLength":3})",
         {R"("ab")", "\"\xC3\xA9\xC3\xA9\xC3\xA9\""},
         {R"("a")", R"("abcd")", R"("\"")", R"("")"}});
  Check({R"({"type":"string","minLength":1})", {R"("a")"}, {R"("")"}});
  Check({R"({"type":"string","pattern":"^[a-c]+$"})",
         {R"("abc")"},
         {R"("")", R"("abd")", R"("xab")"}});
  // Found anywhere, as JSON Schema means it.
  Check({R"({"type":"string","pattern":"b"})", {R"("b")", R"("abc")"}, {R"("ac")"}});
  Check({R"({"type":"string","pattern":"^a|c$"})", {R"("ab")", R"("bc")"}, {R"("bcb")"}});
  // What the pattern lets through is still JSON: quotes and backslashes are left out.
  Check({R"({"type":"string","pattern":"^.*$"})",
         {R"("ab")"},
         {R"("a"b")", R"("\")", "\"a\nb\"", "\"a\tb\""}});
  EXPECT_THAT(Refusal(R"({"type":"string","pattern":"^\"q\"$"})").message, HasSubstr("a quote"));
  Check({R"({"type":"string","pattern":"^[A-Z]{3}$","minLength":3,"maxLength":5})",
         {R"("ABC")"},
         {R"("AB")"}});
  Check({"{\"type\":\"string\",\"pattern\":\"^[\xC3\xA0-\xC3\xBF\xE4\xB8\x80-\xE9\xBF\xBF]+$\"}",
         {"\"\xC3\xA9\xE4\xB8\xAD\""},
         {R"("e")"}});
  EXPECT_THAT(Refusal(R"({"type":"string","pattern":"^(?=a)b$"})").message, HasSubstr("lookahead"));
  EXPECT_THAT(Refusal(R"({"type":"string","pattern":"^a+$","maxLength":3})").message,
              HasSubstr("maxLength"));
}

TEST_F(Schema, PatternsKnowEveryCharacter) {
  for (int c = 0x20; c < 0x7F; ++c) {
    if (c == '"' || c == '\\') continue;
    const std::string escaped = fmt::format("\\\\x{:02x}", c);
    const std::string text = fmt::format("\"{}\"", static_cast<char>(c));
    EXPECT_TRUE(FitsSchema("{\"pattern\":\"^[" + escaped + "]$\"}", text)) << c;
    EXPECT_TRUE(FitsSchema("{\"pattern\":\"^[" + escaped + "!]$\"}", text)) << c;
    EXPECT_TRUE(FitsSchema("{\"pattern\":\"^" + escaped + "$\"}", text)) << c;
    EXPECT_FALSE(FitsSchema("{\"pattern\":\"^[^" + escaped + "]$\"}", text)) << c;
    EXPECT_TRUE(FitsSchema("{\"pattern\":\"^[^\\\\n]$\"}", text)) << c;
  }
}

TEST_F(Schema, Formats) {
  Check({R"({"type":"string","format":"date"})",
         {R"("2026-11-25")"},
         {R"("2026-13-01")", R"("2026-02-30")", R"("x")"}});
  Check({R"({"type":"string","format":"date-time"})",
         {R"("2026-11-25T10:00:00Z")", R"("2026-11-25T10:00:00.5+01:00")"},
         {R"("2026-11-25")"}});
  Check({R"({"type":"string","format":"email"})",
         {R"("a.b@c.org")"},
         {R"("a b@c.org")", R"("a@c")"}});
  Check({R"({"type":"string","format":"uuid"})",
         {R"("123e4567-e89b-12d3-a456-426614174000")"},
         {R"("123e4567")"}});
  Check({R"({"type":"string","format":"ipv4"})", {R"("10.0.0.255")"}, {R"("10.0.0.256")"}});
  Check({R"({"type":"string","format":"uri"})",
         {R"("https://a.org/b?c=d#e")"},
         {R"("a b")", R"("/x")"}});
  EXPECT_THAT(Refusal(R"({"type":"string","format":"shoe-size"})").message, HasSubstr("shoe-size"));
}

TEST_F(Schema, Numbers) {
  Check({R"({"type":"integer"})", {"0", "-5", "12345678901234567890"}, {"1.5", "01", "\"1\""}});
  Check({R"({"type":"integer","minimum":-3,"maximum":12})",
         {"-3", "0", "7", "12"},
         {"-4", "13", "100", "-30"}});
  Check({R"({"type":"integer","exclusiveMinimum":0,"exclusiveMaximum":10})",
         {"1", "9"},
         {"0", "10"}});
  Check({R"({"type":"integer","minimum":1.5})", {"2", "1000"}, {"1", "0", "-2"}});
  Check({R"({"type":"integer","minimum":18,"exclusiveMinimum":true})", {"19"}, {"18"}});
  Check({R"({"type":"integer","multipleOf":5})", {"0", "15", "-20"}, {"3", "52"}});
  Check({R"({"type":"integer","multipleOf":5,"minimum":0,"maximum":100})",
         {"0", "95", "100"},
         {"7", "105"}});
  Check({R"({"type":"number","multipleOf":2})", {"4"}, {"3", "2.5"}});
  Check({R"({"type":"number"})", {"0", "-1.5", "1e10", "2.5E-3"}, {".5", "1.", "+1"}});
  Check({R"({"type":"number","minimum":0,"maximum":1})",
         {"0", "1", "0.5", "0.999"},
         {"-0.1", "1.1", "2", "1.0001"}});
  Check({R"({"type":"number","minimum":-1.5,"maximum":2.25})",
         {"-1.5", "-1.25", "0", "2.25", "2.1"},
         {"-1.6", "-2", "2.26", "3"}});
  Check({R"({"type":"number","exclusiveMinimum":0})", {"0.1", "5"}, {"0", "-1", "0.0"}});
  Check({R"({"type":"number","maximum":100})", {"100", "99.9", "-1000"}, {"100.1", "101", "1000"}});
  Check({R"({"type":"integer","format":"int32","minimum":2147483646})",
         {"2147483647"},
         {"2147483648"}});
  EXPECT_THAT(Refusal(R"({"type":"number","multipleOf":0.01})").message, HasSubstr("multipleOf"));
  EXPECT_THAT(Refusal(R"({"type":"integer","multipleOf":3,"minimum":1})").message,
              HasSubstr("multipleOf"));
  EXPECT_THAT(Refusal(R"({"type":"integer","minimum":3,"maximum":1})").message,
              HasSubstr("no instance"));
}

TEST_F(Schema, Arrays) {
  Check({R"({"type":"array"})", {"[]", R"([1, "a", {"b": []}])"}, {"{}"}});
  Check({R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})",
         {"[1]", "[1, 2, 3]", "[ 1,2 ]"},
         {"[]", "[1,2,3,4]", "[\"a\"]"}});
  Check({R"({"type":"array","items":{"type":"boolean"}})", {"[]", "[true,false]"}, {"[null]"}});
  Check({R"({"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false})",
         {R"(["a",1])"},
         {R"([1,"a"])", R"(["a",1,2])"}});
  Check({R"({"type":"array","items":[{"type":"string"},true],"additionalItems":{"type":"null"}})",
         {R"(["a",1])", R"(["a",{},null])"},
         {R"(["a",1,2])"}});
  Check({R"({"type":"array","items":false})", {"[]"}, {"[1]"}});
  Check({R"({"type":"array","uniqueItems":true,"maxItems":1,"items":{"type":"integer"}})",
         {"[1]"},
         {"[1,1]"}});
  EXPECT_THAT(
      Refusal(R"({"type":"object","properties":{"tags":{"type":"array","uniqueItems":true}}})")
          .message,
      ::testing::AllOf(HasSubstr("uniqueItems"), HasSubstr("#/properties/tags")));
  EXPECT_THAT(Refusal(R"({"type":"array","contains":{"type":"integer"}})").message,
              HasSubstr("contains"));
}

TEST_F(Schema, Objects) {
  const char* person =
      R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"},
                          "tag":{"type":"null"}},"required":["name"]})";
  Check({person,
         {R"({"name":"a"})", R"({"name": "a", "age": 3})", R"({"name":"a","tag":null})",
          "{\n  \"name\": \"a\"\n}"},
         {"{}", R"({"age":3})", R"({"name":1})", R"({"name":"a","x":1})"}});
  Check({R"({"type":"object"})", {"{}", R"({"a":1,"b":[{}]})"}, {"[]"}});
  Check({R"({"type":"object","additionalProperties":{"type":"integer"}})",
         {"{}", R"({"a":1,"b":2})"},
         {R"({"a":"b"})"}});
  Check(
      {R"({"type":"object","required":["a","b"]})", {R"({"a":1,"b":"c"})"}, {R"({"a":1})", "{}"}});
  Check(
      {R"({"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"string"}})",
       {R"({"a":1})", R"({"a":1,"b":"c"})"},
       {R"({"a":1,"a":"x"})", R"({"a":"x"})", R"({"a":1,"b":2})"}});
  Check(
      {R"({"type":"object","patternProperties":{"^n_[a-z]+$":{"type":"integer"}},"additionalProperties":false})",
       {"{}", R"({"n_a":1,"n_b":2})"},
       {R"({"x":1})", R"({"n_a":"x"})"}});
  Check(
      {R"({"type":"object","propertyNames":{"pattern":"^[a-z]$"},"additionalProperties":{"type":"integer"}})",
       {R"({"a":1})"},
       {R"({"ab":1})", R"({"a":"b"})"}});
  Check(
      {R"({"type":"object","propertyNames":{"enum":["x","y"]},"additionalProperties":{"type":"integer"}})",
       {R"({"x":1})", R"({"x":1,"y":2})", "{}"},
       {R"({"z":1})"}});
  Check(
      {R"({"type":"object","additionalProperties":{"type":"integer"},"minProperties":1,"maxProperties":2})",
       {R"({"a":1})", R"({"a":1,"b":2})"},
       {"{}", R"({"a":1,"b":2,"c":3})"}});
  Check({R"({"type":"object","properties":{"a":{},"b":{},"c":{}},"minProperties":2})",
         {R"({"a":1,"c":2})", R"({"a":1,"b":1,"c":2})"},
         {R"({"b":2})", "{}"}});
  Check({R"({"type":"object","properties":{"a":{},"b":{},"c":{}},"maxProperties":1})",
         {"{}", R"({"b":1})"},
         {R"({"a":1,"b":2})"}});
  Check(
      {"{\"type\":\"object\",\"properties\":{\"na\\\"me/"
       "x\":{\"type\":\"integer\"},\"\xC3\xA9\":{\"type\":\"integer\"}},"
       "\"required\":[\"na\\\"me/x\",\"\xC3\xA9\"]}",
       {"{\"na\\\"me/x\":1,\"\xC3\xA9\":2}"},
       {"{}"}});
  EXPECT_THAT(Refusal(R"({"type":"object","required":["a"],"additionalProperties":false})").message,
              HasSubstr("no instance"));
  EXPECT_THAT(Refusal(R"({"type":"object","dependentRequired":{"a":["b"]}})").message,
              HasSubstr("dependentRequired"));
}

TEST_F(Schema, ValuesAndAlternatives) {
  Check({R"({"enum":["a","b c",1,null,true,{"x":[1]}]})",
         {R"("a")", R"("b c")", "1", "null", "true", R"({"x":[1]})"},
         {R"("c")", "2", "false"}});
  Check({R"({"type":"string","enum":["a",1]})", {R"("a")"}, {"1"}});
  Check({R"({"const":"x/y"})", {R"("x/y")"}, {R"("x")"}});
  Check({R"({"anyOf":[{"type":"string"},{"type":"integer"}]})", {R"("a")", "1"}, {"null", "1.5"}});
  Check({R"({"type":["string","null"],"maxLength":2})", {R"("ab")", "null"}, {R"("abc")", "1"}});
  Check({R"({"oneOf":[{"type":"string"},{"type":"null"}]})", {R"("ab")", "null"}, {"1"}});
  Check(
      {R"({"oneOf":[{"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"integer"}},"required":["kind","x"]},
                      {"type":"object","properties":{"kind":{"const":"b"}},"required":["kind"]}]})",
       {R"({"kind":"a","x":1})", R"({"kind":"b"})"},
       {R"({"kind":"a"})", R"({"kind":"c"})"}});
  EXPECT_THAT(Refusal(R"({"oneOf":[{"type":"integer"},{"type":"number"}]})").message,
              HasSubstr("oneOf"));
  Check(
      {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"anyOf":[{"required":["a"]},{"required":["b"]}]})",
       {R"({"a":1})", R"({"b":1})", R"({"a":1,"b":2})"},
       {"{}"}});
  Check(
      {R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"string"}},"required":["b"]}]})",
       {R"({"a":1,"b":"c"})"},
       {R"({"a":1})", R"({"b":"c"})"}});
  Check({R"({"allOf":[{"type":"integer","minimum":1},{"maximum":5}]})", {"1", "5"}, {"0", "6"}});
  EXPECT_THAT(Refusal(R"({"not":{"type":"string"}})").message, HasSubstr("not at #"));
  EXPECT_THAT(Refusal(R"({"if":{"type":"string"},"then":{"minLength":1}})").message,
              HasSubstr("if at #"));
  EXPECT_THAT(Refusal(R"({"type":"string","colour":"red"})").message, HasSubstr("colour"));
  EXPECT_EQ(Refusal("false").code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(Refusal(R"({"type":"text"})").message, HasSubstr("text"));
}

TEST_F(Schema, References) {
  const char* tree =
      R"({"type":"object","properties":{"value":{"type":"integer"},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["value","next"]})";
  Check({tree,
         {R"({"value":1,"next":null})", R"({"value":1,"next":{"value":2,"next":null}})"},
         {R"({"value":1,"next":{}})", R"({"value":1})"}});
  Check({R"({"$ref":"#/$defs/a~1b","$defs":{"a/b":{"type":"integer"}}})", {"1"}, {"\"a\""}});
  Check(
      {R"({"$defs":{"n":{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#/$defs/n"}}},"required":["kids"]}},"$ref":"#/$defs/n"})",
       {R"({"kids":[]})", R"({"kids":[{"kids":[]}]})"},
       {R"({"kids":[1]})"}});
  Check(
      {R"({"properties":{"a":{"$ref":"#/definitions/s","description":"x"}},"required":["a"],"definitions":{"s":{"type":"string"}}})",
       {R"({"a":"b"})"},
       {R"({"a":1})"}});
  Check({R"({"$ref":"#/$defs/i","maximum":5,"$defs":{"i":{"type":"integer"}}})", {"5"}, {"6"}});
  EXPECT_THAT(Refusal(R"({"$ref":"https://example.org/x.json"})").message, HasSubstr("$ref"));
  EXPECT_THAT(Refusal(R"({"$ref":"#/$defs/x"})").message, HasSubstr("not there"));
  EXPECT_THAT(Refusal(R"({"$ref":"#"})").message, HasSubstr("no finite instance"));
  EXPECT_THAT(
      Refusal(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})").message,
      HasSubstr("no finite instance"));
}

TEST_F(Schema, LimitsHaveNumbers) {
  boost::json::value deep = {{"type", "integer"}};
  for (int i = 0; i < 60; ++i) {
    boost::json::object outer{{"type", "array"}};
    outer["items"] = std::move(deep);
    deep = std::move(outer);
  }
  const Result<std::string> refused = NormalizeSchema(deep, "schema");
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("48"));
  EXPECT_EQ(refused.error().param, "schema");
  EXPECT_THAT(Refusal(R"({"type":"string","maxLength":1000000})").message, HasSubstr("maxLength"));
}

TEST_F(Schema, NoTokenBringsAControlCharacter) {
  auto matcher = Start(Constraint::Kind::kJsonSchema, Normal(R"({"type":"string","maxLength":9})"));
  ASSERT_TRUE(matcher.has_value());
  ASSERT_TRUE(matcher->TakeText("\"a"));
  const std::span<const uint32_t> mask = matcher->Allowed();
  for (int byte = 0; byte < 0x20; ++byte) EXPECT_EQ(mask[0] >> byte & 1, 0u) << byte;
  EXPECT_NE(mask['a' / 32] >> ('a' % 32) & 1, 0u);
}

TEST_F(Schema, WhiteSpaceEnds) {
  const std::string schema =
      Normal(R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]})");
  auto matcher = Start(Constraint::Kind::kJsonSchema, schema);
  ASSERT_TRUE(matcher.has_value());
  EXPECT_TRUE(matcher->TakeText("{\n    "));
  EXPECT_FALSE(matcher->TakeText(std::string(200, ' ')));
}

}  // namespace
}  // namespace lb::grammar

// Whatever a template does, it ends soon, in bounded memory and stack, with one clear error.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <ctime>

#include "tests/sanitized.h"
#include "tests/text/jinja_test_util.h"
#include "text/jinja/from_json.h"

namespace lb::text::jinja {
namespace {

// The error of a rendering that must be stopped by a limit: what would run on for minutes is a
// failure, what takes a second on a slow machine is none.
std::string FailsFast(const std::string& source, const Context& context = {}) {
  // Processor time: other work on the machine does not count.
  const std::clock_t start = std::clock();
  const std::string result = Render(source, context);
  const double took = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT_LT(took, kSanitized ? 60 : 20) << source;
  EXPECT_EQ(result.substr(0, 7), "error: ") << source << " gives " << result.substr(0, 100);
  return result;
}

bool Has(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

std::string Times(int count, const std::string& text) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

TEST(JinjaLimits, EndlessLoops) {
  const std::string nested =
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
  EXPECT_TRUE(Has(FailsFast(nested), "steps"));
  EXPECT_TRUE(Has(FailsFast("{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}"
                            "{% endfor %}"),
                  "steps"));
  FailsFast(
      "{% set ns = namespace(s='x') %}{% for a in range(99999) %}{% set ns.s = ns.s + ns.s %}"
      "{% endfor %}");
  FailsFast(
      "{% set ns = namespace(l=[1]) %}{% for a in range(99999) %}{% set ns.l = ns.l + ns.l %}"
      "{% endfor %}");
}

TEST(JinjaLimits, HugeOutput) {
  EXPECT_TRUE(Has(FailsFast("{{ 'x' * 1000000000 }}"), "bytes"));
  EXPECT_TRUE(
      Has(FailsFast("{% set s = 'x' * 1000000 %}{% for i in range(1000) %}{{ s }}{% endfor %}"),
          "bytes"));
  FailsFast("{{ 'x'.ljust(1000000000) }}");
  FailsFast("{{ '%1000000000d' % 1 }}");
  FailsFast("{{ '{:1000000000}'.format(1) }}");
  FailsFast("{{ ('x' * 1000000) | replace('x', 'y' * 1000) }}");
  FailsFast("{{ ('x\n' * 1000000) | indent(1000) }}");
  FailsFast("{{ [1] * 100000000 }}");
  FailsFast("{{ range(100001) }}");
  FailsFast("{{ range(0, 9223372036854775807, 1) }}");
  FailsFast("{{ range(-9223372036854775807, 9223372036854775807) }}");
  FailsFast("{{ (range(90000) | list) | batch(1, 2) | list | tojson(indent=1000) }}");
  FailsFast("{{ ['x' * 1000000] * 1000 | join }}");
  FailsFast("{{ (['x' * 1000000] * 1000) | join }}");
}

TEST(JinjaLimits, MemoryHeld) {
  EXPECT_TRUE(Has(FailsFast("{% set ns = namespace(l=[]) %}{% for i in range(1000) %}"
                            "{% set ns.l = ns.l + ['x' * 1000000 ~ i] %}{% endfor %}"),
                  "memory"));
}

TEST(JinjaLimits, Recursion) {
  EXPECT_TRUE(Has(FailsFast("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), "deep"));
  FailsFast(
      "{% macro f(x) %}{{ g(x) | upper }}{% endmacro %}{% macro g(x) %}{{ f(x + 1) }}{% endmacro %}"
      "{{ f(1) }}");
  FailsFast(
      "{% macro f() %}{{ caller() }}{% call f() %}x{% endcall %}{% endmacro %}"
      "{% call f() %}{% endcall %}");
  FailsFast("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}");
  FailsFast("{{ " + std::string(100000, '(') + " }}");
  FailsFast("{{ " + std::string(100000, '-') + "1 }}");
  FailsFast("{{ 1" + Times(100000, " + 1") + " }}");
  FailsFast("{{ x" + Times(100000, ".x") + " }}");
  FailsFast("{{ 1" + Times(100000, " if 1 else 1") + " }}");
  FailsFast(Times(100000, "{% if 1 %}"));
  // A chain that is flat in the tree is no nesting.
  EXPECT_EQ(Render("{{ 1" + Times(1000, " and 1") + " }}"), "1");
}

TEST(JinjaLimits, DeepValues) {
  EXPECT_TRUE(Has(FailsFast("{% set ns = namespace(l=[]) %}{% for i in range(99999) %}"
                            "{% set ns.l = [ns.l] %}{% endfor %}"),
                  "nest"));
  FailsFast(
      "{% set ns = namespace(l={}) %}{% for i in range(99999) %}{% set ns.l = {'a': ns.l} %}"
      "{% endfor %}");
  FailsFast(
      "{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = ns.l.copy %}"
      "{% endfor %}{{ ns.l }}");
}

// Values that share their parts grow exponentially when they are walked.
TEST(JinjaLimits, SharedValues) {
  const std::string make =
      "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(150) %}"
      "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}";
  FailsFast(make + "{{ ns.a == ns.b }}");
  FailsFast(make + "{{ ns.a }}");
  FailsFast(make + "{{ ns.a | tojson }}");
  FailsFast(make + "{{ [ns.a, ns.b] | sort }}");
  FailsFast(make + "{{ ns.a in [ns.b] }}");
}

// Run under the address sanitizer, this shows that nothing leaks either.
TEST(JinjaLimits, Cycles) {
  EXPECT_EQ(Render("{% set ns = namespace() %}{% set ns.me = ns %}{% set ns.l = [ns] %}ok"), "ok");
  EXPECT_EQ(Render("{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}ok"),
            "ok");
  EXPECT_EQ(Render("{% set ns = namespace() %}{% macro m() %}{% set x = 1 %}{% macro i() %}{{ x }}"
                   "{% endmacro %}{% set ns.i = i %}{% endmacro %}{{ m() }}{{ ns.i() }}"),
            "1");
  EXPECT_EQ(Render("{% for i in [1] %}{% macro m() %}{{ m }}{% endmacro %}{% endfor %}ok"), "ok");
  EXPECT_EQ(Render("{% set ns = namespace() %}{% for i in [1] %}{{ loop.changed(loop) }}"
                   "{% set ns.l = loop %}{% endfor %}{{ ns.l.index }}"),
            "True1");
  EXPECT_EQ(Render("{% set ns = namespace() %}{% for i in [1] recursive %}{% set ns.l = loop %}"
                   "{% endfor %}{{ ns.l is defined }}"),
            "True");
  FailsFast("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}");
  // A list of a million namespaces, each holding the one before.
  FailsFast(
      "{% set o = namespace(n=namespace()) %}{% for a in range(99999) %}{% for b in range(9) %}"
      "{% set o.n = namespace(n=o.n) %}{% endfor %}{% endfor %}{{ 1 / 0 }}");
}

TEST(JinjaLimits, Numbers) {
  FailsFast("{{ 9223372036854775807 + 1 }}");
  FailsFast("{{ 9223372036854775807 * 2 }}");
  FailsFast("{{ 10 ** 1000000 }}");
  FailsFast("{{ -9223372036854775807 - 2 }}");
  FailsFast("{{ 99999999999999999999 }}");
  FailsFast("{{ 1e30 | int }}");
  FailsFast("{{ (1e308 * 10) | int }}");
  EXPECT_EQ(Render("{{ (-9223372036854775807 - 1) // -1 if false else 'x' }}"), "x");
  FailsFast("{{ (-9223372036854775807 - 1) // -1 }}");
  EXPECT_EQ(Render("{{ (-9223372036854775807 - 1) % -1 }}"), "0");
  FailsFast("{{ -(-9223372036854775807 - 1) }}");
  EXPECT_EQ(Render("{{ [1, 2][9223372036854775807:] }}{{ [1, 2][:-9223372036854775807] }}"
                   "{{ [1, 2][::9223372036854775807] }}{{ [1, 2][::-9223372036854775807] }}"),
            "[][][1][2]");
}

TEST(JinjaLimits, ErrorsNameTheLineAndNotTheSource) {
  EXPECT_EQ(Render("a\nb\n{{ x.y }}"), "error: chat template, line 3: 'x' is undefined");
  EXPECT_EQ(Render("{{ {}.a.b }}"),
            "error: chat template, line 1: 'dict object' has no attribute 'a'");
  EXPECT_EQ(Render("\n{{ raise_exception('My words.') }}"), "error: My words.");
  EXPECT_EQ(Render("x\n  {% iff y %}"), "error: line 2, column 6: unknown tag 'iff'");
  EXPECT_EQ(Render("{{ 'secret' 5 }}"), "error: line 1, column 13: expected '}}', found a number");
  EXPECT_EQ(
      Render("{{ [].append(1) }}"),
      "error: chat template, line 1: access to attribute 'append' of 'list' object is unsafe");
}

// The sandbox: no attributes but elements and known methods.
TEST(JinjaLimits, Sandbox) {
  EXPECT_EQ(Render("{{ ''.__class__ is defined }}{{ [].__len__ is defined }}{{ range.__self__ is "
                   "defined }}"),
            "FalseFalseFalse");
  FailsFast("{% include '/etc/passwd' %}");
  FailsFast("{{ ''.__class__.__mro__ }}");
}

TEST(JinjaLimits, JsonDepth) {
  boost::json::value deep = 1;
  for (int i = 0; i < 1000; ++i) deep = boost::json::array{std::move(deep)};
  const auto value = FromJson(deep);
  ASSERT_FALSE(value.has_value());
  EXPECT_EQ(value.error().code, ErrorCode::kInvalidArgument);
  boost::json::value shallow = 1;
  for (int i = 0; i < 90; ++i) shallow = boost::json::array{std::move(shallow)};
  EXPECT_TRUE(FromJson(shallow).has_value());
}

TEST(JinjaFromJson, KeepsOrderTypesAndOrigin) {
  const auto json = boost::json::parse(
      R"({"z": 1, "a": [true, null, 1.5, "s"], "u": 18446744073709551615, "n": -3})");
  const auto value = FromJson(json);
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(Render("{{ v }}", {{"v", *value}}),
            "{'z': 1, 'a': [True, None, 1.5, 's'], 'u': 1.8446744073709552e+19, 'n': -3}");
  EXPECT_EQ(Marked("{{ v.a[3] }}", {{"v", *FromJson(json, Origin::kTemplate)}}), "s");
  EXPECT_EQ(Marked("{{ v.a[3] }}", {{"v", *value}}), "«s»");
}

// Strings that are no UTF-8 pass through unharmed.
TEST(JinjaText, BadUtf8) {
  const Context context = {{"b", Value::String("a\xFF\xC3z\xE4\xB8")}};
  EXPECT_EQ(Render("{{ b }}", context), "a\xFF\xC3z\xE4\xB8");
  EXPECT_EQ(Render("{{ b[1] ~ b[2] ~ b[3] }}", context), "\xFF\xC3z");
  EXPECT_EQ(Render("{{ b | upper }}", context), "A\xFF\xC3Z\xE4\xB8");
  EXPECT_EQ(Render("{{ b | length }}{{ b | trim | reverse | reverse == b }}", context), "6True");
}

}  // namespace
}  // namespace lb::text::jinja

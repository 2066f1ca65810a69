// Every byte of data stays data through every operation, and the template's own bytes stay the
// template's: «» mark data. What a user writes can so never become a control token.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/text/jinja_test_util.h"
#include "text/jinja/filters.h"
#include "text/jinja/from_json.h"
#include "text/jinja/methods.h"

namespace lb::text::jinja {
namespace {

const Context& Data() {
  static const Context* context = [] {
    auto* made = new Context();
    const auto value = boost::json::parse(R"({
      "x": "abc", "y": " p q ", "n": 5, "list": ["u", "v"], "d": {"k": "w", "m": "z"},
      "parts": [{"type": "text", "text": "t1"}, {"type": "text", "text": "t2"}]})");
    for (const auto& [name, element] : value.as_object()) {
      made->emplace_back(std::string(name), *FromJson(element));
    }
    made->emplace_back("bos", Value::String("<s>", Origin::kTemplate));
    return made;
  }();
  return *context;
}

std::string Mark(const std::string& source) { return Marked(source, Data()); }

TEST(TaintedText, AppendMergesAndSplitsRanges) {
  TaintedText text("ab", Origin::kTemplate);
  text.Append("cd", Origin::kData);
  text.Append("ef", Origin::kData);
  text.Append("gh", Origin::kTemplate);
  ASSERT_EQ(text.data().size(), 1u);
  EXPECT_EQ(text.data()[0].begin, 2u);
  EXPECT_EQ(text.data()[0].end, 6u);
  const TaintedText cut = text.Sub(3, 7);
  EXPECT_EQ(cut.str(), "defg");
  ASSERT_EQ(cut.data().size(), 1u);
  EXPECT_EQ(cut.data()[0].begin, 0u);
  EXPECT_EQ(cut.data()[0].end, 3u);
  EXPECT_EQ(text.OriginAt(1), Origin::kTemplate);
  EXPECT_EQ(text.OriginAt(2), Origin::kData);
  EXPECT_EQ(text.OriginAt(6), Origin::kTemplate);
  EXPECT_TRUE(text.Sub(0, 2).data().empty());
  EXPECT_TRUE(text.Sub(6, 8).data().empty());
}

TEST(JinjaProvenance, OutputAndConcatenation) {
  EXPECT_EQ(Mark("<{{ x }}>"), "<«abc»>");
  EXPECT_EQ(Mark("{{ '<' + x + '>' }}"), "<«abc»>");
  EXPECT_EQ(Mark("{{ '<' ~ x ~ 1 ~ n }}"), "<«abc»15");
  EXPECT_EQ(Mark("{{ bos }}{{ x }}"), "<s>«abc»");
  EXPECT_EQ(Mark("{{ x * 2 }}{{ 'i' * 2 }}"), "«abcabc»ii");
  EXPECT_EQ(Mark("{{ ('<' + x + '>')[1:3] }}"), "«ab»");
  EXPECT_EQ(Mark("{{ ('<' + x + '>')[::-1] }}"), ">«cba»<");
  EXPECT_EQ(Mark("{{ ('<' + x + '>')[0] }}{{ x[0] }}"), "<«a»");
}

TEST(JinjaProvenance, Methods) {
  EXPECT_EQ(Mark("{{ ('<' + y + '>').strip('<>') }}"), "« p q »");
  EXPECT_EQ(Mark("{{ ('<' + y).upper() }}"), "<« P Q »");
  EXPECT_EQ(Mark("{{ x.replace('b', '|') }}"), "«a»|«c»");
  EXPECT_EQ(Mark("{{ 'a-c'.replace('-', x) }}"), "a«abc»c");
  EXPECT_EQ(Mark("{{ ('1,' + x).split(',') | join(';') }}"), "1;«abc»");
  EXPECT_EQ(Mark("{{ '+'.join([x, 'i']) }}{{ x.join(['1', '2']) }}"), "«abc»+i1«abc»2");
  EXPECT_EQ(Mark("{{ x.partition('b') | join('|') }}"), "«a»|b|«c»");
  EXPECT_EQ(Mark("{{ x.center(5, '*') }}{{ '1'.zfill(2) }}"), "*«abc»*01");
  EXPECT_EQ(Mark("{{ '1'.rjust(3, x[0]) }}"), "«aa1»");
  EXPECT_EQ(Mark("{{ x.capitalize() }}{{ ('i' + x).title() }}"), "«Abc»I«abc»");
  EXPECT_EQ(Mark("{{ '<{}|{k}>'.format(x, k=y) }}"), "<«abc»|« p q »>");
  EXPECT_EQ(Mark("{{ (x + '{}').format('i') }}"), "«abc»i");
  EXPECT_EQ(Mark("{{ '<%s|%d|%5s>' % (x, n, x) }}"), "<«abc»|5|  «abc»>");
  EXPECT_EQ(Mark("{{ '{:>5}'.format(x) }}{{ '{!r}'.format(x) }}"), "  «abc»'«abc»'");
  EXPECT_EQ(Mark("{{ d.get('k') }}{{ d.get('zz', 'i') }}"), "«w»i");
  EXPECT_EQ(Mark("{{ ('i\n' + x).splitlines() | join(',') }}"), "i,«abc»");
  EXPECT_EQ(Mark("{{ (x + '.i').removesuffix('.i') }}"), "«abc»");
}

TEST(JinjaProvenance, Filters) {
  EXPECT_EQ(Mark("{{ ('<' + y) | trim }}{{ y | trim }}"), "<« p qp q»");
  EXPECT_EQ(Mark("{{ list | join(', ') }}{{ ['1', '2'] | join(x) }}"), "«u», «v»1«abc»2");
  EXPECT_EQ(Mark("{{ parts | map(attribute='text') | join('+') }}"), "«t1»+«t2»");
  EXPECT_EQ(Mark("{{ list | first }}{{ list | last }}{{ list | sort(reverse=true) | first }}"),
            "«uvv»");
  EXPECT_EQ(Mark("{{ x | upper | lower | title | safe }}{{ x | e }}"), "«Abcabc»");
  EXPECT_EQ(Mark("{{ x | replace('b', '#') }}{{ missing | default(x) }}"), "«a»#«cabc»");
  EXPECT_EQ(Mark("{{ ('i\n' + x) | indent(2) }}"), "i\n  «abc»");
  EXPECT_EQ(Mark("{{ '1\n2' | indent(x) }}"), "1\n«abc»2");
  EXPECT_EQ(Mark("{{ list | string }}{{ d | string }}"),
            "['«u»', '«v»']{'«k»': '«w»', '«m»': '«z»'}");
  EXPECT_EQ(Mark("{{ x | list | join }}{{ x | reverse }}"), "«abccba»");
  EXPECT_EQ(Mark("{{ ('a b ' + x) | truncate(6, true, '.', 0) }}"), "a b «a».");
  EXPECT_EQ(Mark("{{ (x + ' <b>i</b>') | striptags }}{{ x | urlencode }}"), "«abc» i«abc»");
  EXPECT_EQ(Mark("{{ '%s' | format(x) }}{{ x | center(5) }}"), "«abc» «abc» ");
  EXPECT_EQ(Mark("{{ (x ~ ' i') | wordwrap(3) }}"), "«abc»\ni");
}

TEST(JinjaProvenance, Json) {
  EXPECT_EQ(Mark("{{ d | tojson }}"), R"({"«k»": "«w»", "«m»": "«z»"})");
  EXPECT_EQ(Mark("{{ {'own': x, 'i': 'j'} | tojson }}"), R"({"own": "«abc»", "i": "j"})");
  EXPECT_EQ(Mark("{{ [1] | tojson(separators=(x, ':')) }}"), "«[1]»");
  EXPECT_EQ(Mark(R"({{ ('["i"' + ']') | from_json | first }})"), "i");
  EXPECT_EQ(Mark(R"({{ ('["' + x + '"]') | from_json | first }})"), "«abc»");
}

TEST(JinjaProvenance, NamesOfData) {
  EXPECT_EQ(Mark("{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}"), "«k»=«w»;«m»=«z»;");
  EXPECT_EQ(Mark("{% for k in d %}{{ k }}{% endfor %}"), "«km»");
  EXPECT_EQ(Mark("{% macro m() %}{{ kwargs }}{% endmacro %}{{ m(**d) }}"),
            "{'«k»': '«w»', '«m»': '«z»'}");
  EXPECT_EQ(Mark("{% set o = dict(**d) %}{{ o | first }}"), "«k»");
  EXPECT_EQ(Mark("{% set o = namespace(**d) %}{{ o }}"),
            "<Namespace {'«k»': '«w»', '«m»': '«z»'}>");
}

TEST(JinjaProvenance, Blocks) {
  EXPECT_EQ(Mark("{% set s %}<{{ x }}>{% endset %}{{ s }}"), "<«abc»>");
  EXPECT_EQ(Mark("{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m(x) | upper }}"), "[«ABC»]");
  EXPECT_EQ(Mark("{% filter upper %}i{{ x }}{% endfilter %}"), "I«ABC»");
  EXPECT_EQ(
      Mark("{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}{{ x }}i{% endcall %}"),
      "<«abc»i>");
  EXPECT_EQ(Mark("{% for c in '<' ~ x %}{{ c }},{% endfor %}"), "<,«a»,«b»,«c»,");
  EXPECT_EQ(
      Mark("{% for p in [['i', x]] recursive %}{{ p if p is string else loop(p) }}{% endfor %}"),
      "i«abc»");
  EXPECT_EQ(Mark("{% set ns = namespace(s='<') %}{% set ns.s = ns.s + x %}{{ ns.s }}"), "<«abc»");
  EXPECT_EQ(Mark("{{ x if true }}{{ loop | default(x) }}{{ x and 'i' }}{{ '' or x }}"),
            "«abcabc»i«abc»");
}

TEST(JinjaProvenance, EqualWhateverTheOrigin) {
  EXPECT_EQ(Mark("{{ x == 'abc' }}{{ 'b' in x }}{{ x in ['abc'] }}{{ {'abc': 'i'}[x] }}"),
            "TrueTrueTruei");
}

// Every filter and method, on text that is data: nothing of it comes out as the template's.
TEST(JinjaProvenance, NoFilterOrMethodLaunders) {
  const std::string secret = "\xE2\x98\x83q<\xE2\x98\x83";
  const Context context = {{"x", Value::String(secret)},
                           {"l", Value::List({Value::String(secret), Value::String(secret + "2")})},
                           {"d", Value::Dict({{Value::String(secret), Value::String(secret)}})}};
  const char* filters[] = {"string",
                           "tojson",
                           "trim",
                           "upper",
                           "lower",
                           "capitalize",
                           "title",
                           "replace('q', 'r')",
                           "indent",
                           "safe",
                           "e",
                           "forceescape",
                           "center(9)",
                           "truncate(3)",
                           "wordwrap(2)",
                           "striptags",
                           "urlencode",
                           "pprint",
                           "join",
                           "join('-')",
                           "first",
                           "last",
                           "list",
                           "reverse | string",
                           "sort",
                           "unique | list",
                           "min",
                           "max",
                           "batch(1) | list",
                           "slice(1) | list",
                           "map('upper') | list",
                           "select | list",
                           "items | list",
                           "dictsort",
                           "groupby(0)",
                           "default('')",
                           "format",
                           "xmlattr",
                           "int(x)",
                           "float(x)",
                           "attr('upper')",
                           "sum(start=[])",
                           "d"};
  const char* methods[] = {
      "strip()",           "lstrip('q')",    "split()",         "split('q')",       "rsplit('q')",
      "splitlines()",      "partition('q')", "rpartition('q')", "replace('q', '')", "join(l)",
      "upper()",           "casefold()",     "title()",         "capitalize()",     "swapcase()",
      "removeprefix('z')", "ljust(9)",       "rjust(9, x[0])",  "center(9)",        "zfill(9)",
      "expandtabs()",      "format()",       "get(x)",          "keys()",           "values()",
      "items()",           "copy()",         "fromkeys(x)"};
  int rendered = 0;
  const auto check = [&](const std::string& source) {
    const auto text = RenderTainted(source, context);
    if (!text.has_value()) return;
    ++rendered;
    text->ForEachRun([&](std::string_view run, Origin origin) {
      if (origin == Origin::kData) return;
      EXPECT_EQ(run.find("\xE2\x98\x83"), std::string_view::npos) << source << " gives " << run;
      EXPECT_EQ(run.find("%E2"), std::string_view::npos) << source << " gives " << run;
    });
  };
  for (const char* subject : {"x", "l", "d"}) {
    for (const char* filter : filters) check(std::string("{{ ") + subject + " | " + filter + " }}");
    for (const char* method : methods) check(std::string("{{ ") + subject + "." + method + " }}");
  }
  EXPECT_GT(rendered, 110);
}

}  // namespace
}  // namespace lb::text::jinja

// Filters that make text of a value.
#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/json.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/params.h"
#include "text/jinja/string_format.h"
#include "text/jinja/text_ops.h"
#include "text/jinja/to_string.h"

namespace lb::text::jinja {
namespace {

Value TooLong(Runtime& rt) {
  return rt.Fail("a text is longer than {} bytes", rt.limits().output_bytes);
}

bool NoArguments(Runtime& rt, const Arguments& args) {
  return Params(rt, "filter", args, {}, 0).ok();
}

bool IsMarkup(const Value& value) { return value.is_string() && value.string().markup; }

// str(value) and then a method of it.
template <TaintedText (*kMap)(const TaintedText&)>
Value Mapped(Runtime& rt, const Value& value, Arguments& args) {
  if (!NoArguments(rt, args)) return Value::Undefined();
  const TaintedText text = ToText(rt, value);
  if (!rt.SpendBytes(text.size() * 4)) return Value::Undefined();
  return rt.NewString(kMap(text), IsMarkup(value));
}

// Words begin after white space, '-' and opening brackets.
TaintedText TitleWords(const TaintedText& text) {
  bool at_start = true;
  return MapChars(text, [&](char32_t c, std::string* out) {
    at_start ? AppendUpper(c, out) : AppendLower(c, out);
    at_start = IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  });
}

Value String(Runtime& rt, const Value& value, Arguments& args) {
  return NoArguments(rt, args) ? ToStringValue(rt, value) : Value::Undefined();
}

Value Safe(Runtime& rt, const Value& value, Arguments& args) {
  if (!NoArguments(rt, args)) return Value::Undefined();
  return IsMarkup(value) ? value : rt.NewString(ToText(rt, value), true);
}

Value Escape(Runtime& rt, const Value& value, Arguments& args) {
  if (!NoArguments(rt, args)) return Value::Undefined();
  return IsMarkup(value) ? value : rt.NewString(EscapeHtml(ToText(rt, value)), true);
}

Value ForceEscape(Runtime& rt, const Value& value, Arguments& args) {
  if (!NoArguments(rt, args)) return Value::Undefined();
  return rt.NewString(EscapeHtml(ToText(rt, value)), true);
}

Value Trim(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "trim", args, {"chars"}, 0);
  const TaintedText* chars = params.ok() ? params.Text(0) : nullptr;
  if (!rt.ok()) return Value::Undefined();
  const TaintedText text = ToText(rt, value);
  if (!rt.SpendBytes(text.size() * (chars == nullptr ? 1 : 1 + chars->size()))) {
    return Value::Undefined();
  }
  return rt.NewString(Strip(text, chars, Side::kBoth), IsMarkup(value));
}

Value ReplaceFilter(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "replace", args, {"old", "new", "count"}, 2);
  const int64_t count = params.ok() && params.given_not_none(2) ? params.Int(2, -1) : -1;
  if (!rt.ok()) return Value::Undefined();
  TaintedText out;
  const TaintedText text = ToText(rt, value);
  if (!rt.SpendBytes(text.size()) ||
      !Replace(text, ToText(rt, params[0]).view(), ToText(rt, params[1]), count,
               rt.limits().output_bytes, &out)) {
    return TooLong(rt);
  }
  return rt.NewString(std::move(out));
}

Value Format(Runtime& rt, const Value& value, Arguments& args) {
  if (!args.positional.empty() && !args.named.empty()) {
    return rt.Fail("can't handle positional and keyword arguments at the same time");
  }
  const Value values = args.named.empty() ? rt.NewSequence(Kind::kTuple, std::move(args.positional))
                                          : rt.NewDict(std::move(args.named));
  return rt.ok() ? PercentFormat(rt, ToStringValue(rt, value), values) : Value::Undefined();
}

Value Center(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "center", args, {"width"}, 0);
  const int64_t width = params.ok() ? params.Int(0, 80) : 0;
  if (width > rt.limits().output_bytes) return TooLong(rt);
  if (!rt.SpendBytes(std::max<int64_t>(width, 0))) return Value::Undefined();
  return rt.NewString(Pad(ToText(rt, value), width, " ", Align::kCenter), IsMarkup(value));
}

Value Indent(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "indent", args, {"width", "first", "blank"}, 0);
  if (!params.ok()) return Value::Undefined();
  if (value.is_undefined()) return rt.FailUndefined(value);
  if (!value.is_string()) return rt.Fail("indent: expected str, got {}", TypeName(value));
  TaintedText indent;
  if (params.given(0) && params[0].is_string()) {
    indent = params[0].text();
  } else {
    const int64_t width = params.Int(0, 4);
    if (width > rt.limits().output_bytes / 64) return TooLong(rt);
    indent.Append(std::string(std::max<int64_t>(width, 0), ' '), Origin::kTemplate);
  }
  if (!params.ok()) return Value::Undefined();
  TaintedText ended = value.text();
  ended.Append("\n", Origin::kTemplate);
  const bool blank = params.Bool(2, false);
  TaintedText out;
  if (params.Bool(1, false)) out.Append(indent);
  bool first = true;
  for (const TaintedText& line : SplitLines(ended, false)) {
    if (!first) out.Append("\n", Origin::kTemplate);
    if (!first && (blank || !line.empty())) out.Append(indent);
    first = false;
    out.Append(line);
    if (static_cast<int64_t>(out.size()) > rt.limits().output_bytes) return TooLong(rt);
  }
  return rt.NewString(std::move(out), IsMarkup(value));
}

Value Truncate(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "truncate", args, {"length", "killwords", "end", "leeway"}, 0);
  if (!params.ok()) return Value::Undefined();
  const int64_t length = params.Int(0, 255);
  const int64_t leeway = params.given_not_none(3) ? params.Int(3, 5) : 5;
  const TaintedText* given_end = params.Text(2);
  if (!params.ok()) return Value::Undefined();
  const TaintedText dots("...", Origin::kTemplate);
  const TaintedText& end = given_end == nullptr ? dots : *given_end;
  const int64_t end_chars = static_cast<int64_t>(CountChars(end.view()));
  if (length < end_chars || leeway < 0) return rt.Fail("truncate: length or leeway is too small");
  if (!value.is_string()) {
    return value.is_undefined() ? value
                                : rt.Fail("truncate: expected str, got {}", TypeName(value));
  }
  const TaintedText& text = value.text();
  if (Length(rt, value) <= length + leeway) return value;
  TaintedText out = text.Sub(0, ByteOffset(text.view(), length - end_chars));
  if (!params.Bool(1, false)) {
    const size_t space = out.view().rfind(' ');
    if (space != std::string_view::npos) out = out.Sub(0, space);
  }
  out.Append(end);
  return rt.NewString(std::move(out), IsMarkup(value));
}

// Lines of at most `width` characters, broken at spaces. Unlike Python's it breaks at no hyphens
// but those asked for; long words are cut.
Value WordWrap(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "wordwrap", args,
                {"width", "break_long_words", "wrapstring", "break_on_hyphens"}, 0);
  if (!params.ok()) return Value::Undefined();
  const int64_t width = params.Int(0, 79);
  const TaintedText* wrap = params.Text(2);
  if (!params.ok()) return Value::Undefined();
  if (width <= 0) return rt.Fail("wordwrap: width must be positive");
  if (!value.is_string()) return rt.Fail("wordwrap: expected str, got {}", TypeName(value));
  const TaintedText newline = wrap == nullptr ? TaintedText("\n", Origin::kTemplate) : *wrap;
  const bool cut = params.Bool(1, true);
  if (!rt.SpendBytes(value.text().size() * 16)) return Value::Undefined();
  TaintedText out;
  bool first_line = true;
  for (const TaintedText& paragraph : SplitLines(value.text(), false)) {
    if (!first_line) out.Append(newline);
    first_line = false;
    int64_t column = 0;
    for (TaintedText& word : SplitSpace(paragraph, -1)) {
      int64_t chars = static_cast<int64_t>(CountChars(word.view()));
      if (column > 0 && column + 1 + chars <= width) {
        out.Append(" ", Origin::kTemplate);
        ++column;
      } else if (column > 0) {
        out.Append(newline);
        column = 0;
      }
      while (cut && chars > width) {
        const size_t part = ByteOffset(word.view(), width);
        out.Append(word, 0, part);
        out.Append(newline);
        word = word.Sub(part, word.size());
        chars -= width;
        if (!rt.Spend(1 + static_cast<int64_t>(word.size() / 64))) return Value::Undefined();
      }
      out.Append(word);
      column += chars;
    }
    if (static_cast<int64_t>(out.size()) > rt.limits().output_bytes) return TooLong(rt);
  }
  return rt.NewString(std::move(out));
}

Value StripTags(Runtime& rt, const Value& value, Arguments& args) {
  if (!NoArguments(rt, args)) return Value::Undefined();
  const TaintedText text = ToText(rt, value);
  TaintedText kept;
  size_t pos = 0;
  while (pos < text.size()) {
    const size_t open = std::min(text.view().find('<', pos), text.size());
    const size_t close = text.view().find('>', open);
    if (close == std::string_view::npos) break;
    kept.Append(text, pos, open);
    pos = close + 1;
  }
  kept.Append(text, pos, text.size());
  TaintedText out;
  for (const TaintedText& word : SplitSpace(kept, -1)) {
    if (!out.empty()) out.Append(" ", Origin::kTemplate);
    out.Append(word);
  }
  return rt.NewString(std::move(out));
}

Value UrlEncode(Runtime& rt, const Value& value, Arguments& args) {
  if (!NoArguments(rt, args)) return Value::Undefined();
  const auto quote = [&](const Value& part, bool keeps_slash, TaintedText* out) {
    ToText(rt, part).ForEachRun([&](std::string_view run, Origin origin) {
      std::string bytes;
      for (const char c : run) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~' ||
                           (keeps_slash && c == '/');
        if (plain) {
          bytes.push_back(c);
        } else if (!keeps_slash && c == ' ') {
          bytes.push_back('+');
        } else {
          bytes += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
      }
      out->Append(bytes, origin);
    });
  };
  TaintedText out;
  if (value.is_string() || !IsIterable(value)) {
    quote(value, true, &out);
    return rt.NewString(std::move(out));
  }
  std::vector<std::pair<Value, Value>> pairs;
  if (value.is(Kind::kDict)) {
    pairs = value.dict().entries;
  } else {
    for (const Value& pair : Iterate(rt, value)) {
      const std::vector<Value> parts = Iterate(rt, pair);
      if (parts.size() != 2) return rt.Fail("urlencode: expected pairs");
      pairs.emplace_back(parts[0], parts[1]);
    }
  }
  for (const auto& [key, element] : pairs) {
    if (!out.empty()) out.Append("&", Origin::kTemplate);
    quote(key, false, &out);
    out.Append("=", Origin::kTemplate);
    quote(element, false, &out);
  }
  return rt.NewString(std::move(out));
}

Value XmlAttributes(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "xmlattr", args, {"autospace"}, 0);
  if (!params.ok()) return Value::Undefined();
  if (!value.is(Kind::kDict)) return rt.Fail("xmlattr: expected a mapping");
  TaintedText out;
  for (const auto& [key, element] : value.dict().entries) {
    if (element.is_none() || element.is_undefined()) continue;
    if (!key.is_string() || key.view().find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos) {
      return rt.Fail("xmlattr: invalid character in attribute name");
    }
    if (params.Bool(0, true) || !out.empty()) out.Append(" ", Origin::kTemplate);
    out.Append(EscapeHtml(key.text()));
    out.Append("=\"", Origin::kTemplate);
    out.Append(IsMarkup(element) ? element.text() : EscapeHtml(ToText(rt, element)));
    out.Append("\"", Origin::kTemplate);
  }
  return rt.NewString(std::move(out));
}

Value PrettyPrint(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "pprint", args, {"verbose"}, 0);
  return params.ok() ? rt.NewString(Repr(rt, value)) : Value::Undefined();
}

Value ToJson(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"}, 0);
  if (!params.ok()) return Value::Undefined();
  JsonStyle style;
  style.ensure_ascii = params.Bool(0, false);
  style.sort_keys = params.Bool(3, false);
  if (params.given_not_none(1)) {
    if (params[1].is_string()) {
      style.indent = params[1].text().str();
    } else {
      const int64_t width = params.Int(1, 0);
      if (!params.ok()) return Value::Undefined();
      if (width > 1000) return rt.Fail("tojson: indent {} is too big", width);
      style.indent = std::string(std::max<int64_t>(width, 0), ' ');
    }
    style.item_separator.assign(1, ',');
  }
  bool separators_are_data =
      params.given(1) && params[1].is_string() && params[1].text().any_data();
  if (params.given_not_none(2)) {
    const std::vector<Value> parts = Iterate(rt, params[2]);
    if (parts.size() != 2 || !parts[0].is_string() || !parts[1].is_string()) {
      return rt.Fail("tojson: separators must be two strings");
    }
    style.item_separator = parts[0].text().str();
    style.key_separator = parts[1].text().str();
    separators_are_data =
        separators_are_data || parts[0].text().any_data() || parts[1].text().any_data();
  }
  TaintedText out = DumpJson(rt, value, style);
  return rt.NewString(separators_are_data ? out.AsData() : std::move(out));
}

Value FromJsonFilter(Runtime& rt, const Value& value, Arguments& args) {
  if (!NoArguments(rt, args)) return Value::Undefined();
  if (!value.is_string()) return rt.Fail("from_json: expected str, got {}", TypeName(value));
  return ParseJson(rt, value.text());
}

constexpr std::pair<std::string_view, Function> kFilters[] = {
    {"string", String},
    {"tojson", ToJson},
    {"from_json", FromJsonFilter},
    {"fromjson", FromJsonFilter},
    {"trim", Trim},
    {"upper", Mapped<Upper>},
    {"lower", Mapped<Lower>},
    {"capitalize", Mapped<Capitalize>},
    {"title", Mapped<TitleWords>},
    {"replace", ReplaceFilter},
    {"format", Format},
    {"indent", Indent},
    {"safe", Safe},
    {"escape", Escape},
    {"e", Escape},
    {"forceescape", ForceEscape},
    {"center", Center},
    {"truncate", Truncate},
    {"wordwrap", WordWrap},
    {"striptags", StripTags},
    {"urlencode", UrlEncode},
    {"xmlattr", XmlAttributes},
    {"pprint", PrettyPrint},
};

}  // namespace

Function FindTextFilter(std::string_view name) {
  for (const auto& [known, function] : kFilters) {
    if (known == name) return function;
  }
  return nullptr;
}

}  // namespace lb::text::jinja

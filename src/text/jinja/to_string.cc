#include "text/jinja/to_string.h"

#include <charconv>
#include <cmath>

#include "text/jinja/loop.h"
#include "text/jinja/unicode.h"

namespace lb::text::jinja {
namespace {

void AppendEscape(char32_t c, std::string* out) {
  if (c < 0x100) {
    *out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
  } else if (c < 0x10000) {
    *out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  } else {
    *out += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
  }
}

class ReprWriter {
 public:
  ReprWriter(Runtime& rt, TaintedText* out) : rt_(rt), out_(*out) {}

  void Write(const Value& value) {
    if (!rt_.Spend(1) || !Fits()) return;
    DepthGuard guard(rt_);
    if (!guard.ok()) return;
    switch (value.kind()) {
      case Kind::kNone:
        return Literal("None");
      case Kind::kUndefined:
        return Literal("Undefined");
      case Kind::kBool:
        return Literal(value.boolean() ? "True" : "False");
      case Kind::kInt:
        return Literal(fmt::format_int(value.integer()).c_str());
      case Kind::kDouble:
        return Literal(FormatDouble(value.number()));
      case Kind::kString:
        return Quoted(value);
      case Kind::kList:
        return Items("[", value.items(), "]");
      case Kind::kTuple:
        return Items("(", value.items(), value.items().size() == 1 ? ",)" : ")");
      case Kind::kRange:
        return Range(value.items());
      case Kind::kView:
        Literal(value.sequence().type_name);
        return Items("([", value.items(), "])");
      case Kind::kGenerator:
        return Literal("<generator object>");
      case Kind::kDict:
        return Entries("{", value.dict().entries, "}");
      case Kind::kNamespace:
        return Entries("<Namespace {", value.ns().attributes, "}>");
      case Kind::kCallable:
        return Literal(
            fmt::format("<{} '{}'>", value.callable().type_name(), value.callable().name()));
      case Kind::kLoop:
        return Literal(
            fmt::format("<LoopContext {}/{}>", value.loop().index0() + 1, value.loop().length()));
    }
  }

 private:
  bool Fits() {
    if (static_cast<int64_t>(out_.size()) <= rt_.limits().output_bytes) return true;
    rt_.Fail("a text is longer than {} bytes", rt_.limits().output_bytes);
    return false;
  }

  void Literal(std::string_view text) { out_.Append(text, Origin::kTemplate); }

  void Items(std::string_view open, const std::vector<Value>& items, std::string_view close) {
    Literal(open);
    for (size_t i = 0; i < items.size() && rt_.ok(); ++i) {
      if (i > 0) Literal(", ");
      Write(items[i]);
    }
    Literal(close);
  }

  void Entries(std::string_view open, const std::vector<std::pair<Value, Value>>& entries,
               std::string_view close) {
    Literal(open);
    bool first = true;
    for (const auto& [key, value] : entries) {
      if (!rt_.ok()) return;
      if (!first) Literal(", ");
      first = false;
      Write(key);
      Literal(": ");
      Write(value);
    }
    Literal(close);
  }

  void Range(const std::vector<Value>& items) {
    const int64_t start = items.empty() ? 0 : items[0].integer();
    const int64_t step = items.size() < 2 ? 1 : items[1].integer() - start;
    const int64_t stop = items.empty() ? 0 : items.back().integer() + step;
    Literal(step == 1 ? fmt::format("range({}, {})", start, stop)
                      : fmt::format("range({}, {}, {})", start, stop, step));
  }

  void Quoted(const Value& value) {
    const TaintedText& text = value.text();
    if (!rt_.SpendBytes(text.size())) return;
    const bool has_single = text.view().find('\'') != std::string_view::npos;
    const bool has_double = text.view().find('"') != std::string_view::npos;
    const char quote = has_single && !has_double ? '"' : '\'';
    if (value.string().markup) Literal("Markup(");
    Literal(std::string_view(&quote, 1));
    text.ForEachRun([&](std::string_view run, Origin origin) {
      std::string bytes;
      for (size_t pos = 0, length = 0; pos < run.size(); pos += length) {
        const char32_t c = Decode(run, pos, &length);
        if (c == static_cast<char32_t>(quote) || c == '\\') {
          bytes.push_back('\\');
          bytes.push_back(run[pos]);
        } else if (c == '\n') {
          bytes += "\\n";
        } else if (c == '\r') {
          bytes += "\\r";
        } else if (c == '\t') {
          bytes += "\\t";
        } else if (c == kBadByte || IsPrintable(c)) {
          bytes.append(run, pos, length);
        } else {
          AppendEscape(c, &bytes);
        }
      }
      out_.Append(bytes, origin);
    });
    Literal(std::string_view(&quote, 1));
    if (value.string().markup) Literal(")");
  }

  Runtime& rt_;
  TaintedText& out_;
};

}  // namespace

std::string FormatDouble(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), number, std::chars_format::scientific).ptr;
  // d.ddde[+-]xx: take it apart and set the point as Python does.
  std::string_view all(buffer, end - buffer);
  std::string sign;
  if (all[0] == '-') {
    sign = "-";
    all.remove_prefix(1);
  }
  const size_t e = all.find('e');
  std::string digits(all.substr(0, 1));
  if (e > 1) digits += all.substr(2, e - 2);
  std::string_view exponent_text = all.substr(e + 1);
  if (exponent_text[0] == '+') exponent_text.remove_prefix(1);
  int exponent = 0;
  std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    std::string out = sign + digits[0];
    if (count > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return sign + "0." + std::string(-exponent - 1, '0') + digits;
  if (count <= exponent + 1) return sign + digits + std::string(exponent + 1 - count, '0') + ".0";
  return sign + digits.substr(0, exponent + 1) + "." + digits.substr(exponent + 1);
}

TaintedText Repr(Runtime& rt, const Value& value) {
  TaintedText out;
  ReprWriter(rt, &out).Write(value);
  return out;
}

TaintedText ToText(Runtime& rt, const Value& value) {
  if (value.is_string()) return value.text();
  if (value.is_undefined()) return TaintedText();
  return Repr(rt, value);
}

Value ToStringValue(Runtime& rt, const Value& value) {
  return value.is_string() ? value : rt.NewString(ToText(rt, value));
}

}  // namespace lb::text::jinja

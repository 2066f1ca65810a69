// Filters over single values: numbers, defaults, lengths, attributes.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/access.h"
#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/params.h"
#include "text/jinja/text_ops.h"
#include "text/jinja/to_string.h"

namespace lb::text::jinja {
namespace {

Value Default(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "default", args, {"default_value", "boolean"}, 0);
  if (!params.ok()) return Value::Undefined();
  const bool use = value.is_undefined() || (params.Bool(1, false) && !Truthy(value));
  if (!use) return value;
  return params.given(0) ? params[0] : rt.NewString(TaintedText());
}

Value LengthFilter(Runtime& rt, const Value& value, Arguments& args) {
  if (!Params(rt, "length", args, {}, 0).ok()) return Value::Undefined();
  const int64_t length = Length(rt, value);
  return rt.ok() ? Value::Int(length) : Value::Undefined();
}

Value Abs(Runtime& rt, const Value& value, Arguments& args) {
  if (!Params(rt, "abs", args, {}, 0).ok()) return Value::Undefined();
  if (value.is(Kind::kDouble)) return Value::Double(std::fabs(value.number()));
  if (value.is_integral())
    return value.integer() < 0 ? Negate(rt, value) : Value::Int(value.integer());
  if (value.is_undefined()) return rt.FailUndefined(value);
  return rt.Fail("bad operand type for abs(): '{}'", TypeName(value));
}

// Digits as Python reads them: white space around, a sign, underscores between.
std::string CleanNumber(std::string_view text) {
  text = text.substr(0, TrimEnd(text));
  text.remove_prefix(SkipSpace(text, 0));
  if (text.starts_with("+")) text.remove_prefix(1);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool between = text[i] == '_' && i > 0 && i + 1 < text.size() &&
                         std::isxdigit(static_cast<unsigned char>(text[i - 1])) &&
                         std::isxdigit(static_cast<unsigned char>(text[i + 1]));
    if (!between) out.push_back(text[i]);
  }
  return out;
}

bool ReadInteger(std::string_view text, int64_t base, int64_t* value) {
  std::string digits = CleanNumber(text);
  const bool negative = digits.starts_with("-");
  if (negative) digits.erase(0, 1);
  if (digits.starts_with("-") || digits.starts_with("+")) return false;
  if (digits.size() > 2 && digits[0] == '0') {
    const char prefix = static_cast<char>(digits[1] | 0x20);
    const int64_t named = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
    if (named != 0 && (base == named || base == 0)) {
      base = named;
      digits.erase(0, 2);
    }
  }
  if (base == 0) base = 10;
  if (negative) digits.insert(digits.begin(), '-');
  const char* end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, *value, static_cast<int>(base));
  return read.ec == std::errc() && read.ptr == end;
}

bool ReadDouble(std::string_view text, double* value) {
  const std::string digits = CleanNumber(text);
  if (digits.empty() || digits.starts_with("+")) return false;
  const char* end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, *value);
  if (read.ec == std::errc::result_out_of_range) {
    *value = digits[0] == '-' ? -HUGE_VAL : HUGE_VAL;
    return read.ptr == end;
  }
  return read.ec == std::errc() && read.ptr == end;
}

Value ToInt(Runtime& rt, double number, const Value& missing) {
  if (!std::isfinite(number)) return missing;
  if (std::fabs(number) >= 9.2233720368547758e18) {
    return rt.Fail("integer out of range: 64 bits are supported");
  }
  return Value::Int(static_cast<int64_t>(number));
}

Value Int(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "int", args, {"default", "base"}, 0);
  if (!params.ok()) return Value::Undefined();
  const int64_t base = params.Int(1, 10);
  if (!params.ok()) return Value::Undefined();
  const Value missing = params.given(0) ? params[0] : Value::Int(0);
  if (value.is_undefined()) return rt.FailUndefined(value);
  if (value.is_integral()) return Value::Int(value.integer());
  if (value.is(Kind::kDouble)) {
    if (std::isinf(value.number())) return rt.Fail("cannot convert float infinity to integer");
    return ToInt(rt, value.number(), missing);
  }
  if (!value.is_string()) return missing;
  if (base != 0 && (base < 2 || base > 36)) return missing;
  int64_t integer = 0;
  if (ReadInteger(value.view(), base, &integer)) return Value::Int(integer);
  double number = 0;
  return ReadDouble(value.view(), &number) ? ToInt(rt, number, missing) : missing;
}

Value Float(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "float", args, {"default"}, 0);
  if (!params.ok()) return Value::Undefined();
  if (value.is_undefined()) return rt.FailUndefined(value);
  if (value.is_number()) return Value::Double(value.number());
  double number = 0;
  if (value.is_string() && ReadDouble(value.view(), &number)) return Value::Double(number);
  return params.given(0) ? params[0] : Value::Double(0);
}

// To the even neighbour when in the middle, as Python's round does.
double RoundHalfEven(double number, int64_t precision) {
  if (precision == 0) return std::nearbyint(number);
  if (precision > 300 || !std::isfinite(number)) return number;
  if (precision > 0) {
    // The decimal digits decide, so let the printer round.
    double rounded = number;
    const std::string digits = fmt::format("{:.{}f}", number, precision);
    std::from_chars(digits.data(), digits.data() + digits.size(), rounded);
    return rounded;
  }
  if (precision < -300) return 0;
  const double scale = std::pow(10.0, static_cast<double>(-precision));
  return std::nearbyint(number / scale) * scale;
}

Value Round(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "round", args, {"precision", "method"}, 0);
  if (!params.ok()) return Value::Undefined();
  const int64_t precision = params.Int(0, 0);
  const TaintedText* method = params.Text(1);
  if (!params.ok()) return Value::Undefined();
  const std::string_view how = method == nullptr ? "common" : method->view();
  if (how != "common" && how != "ceil" && how != "floor") {
    return rt.Fail("method must be common, ceil or floor");
  }
  if (value.is_undefined()) return rt.FailUndefined(value);
  if (!value.is_number()) return rt.Fail("type {} doesn't define round", TypeName(value));
  if (how == "common") {
    const double rounded = RoundHalfEven(value.number(), precision);
    if (!value.is_integral()) return Value::Double(rounded);
    return precision >= 0 ? Value::Int(value.integer()) : ToInt(rt, rounded, Value::Int(0));
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value.number() * scale;
  return Value::Double((how == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value FileSize(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "filesizeformat", args, {"binary"}, 0);
  if (!params.ok()) return Value::Undefined();
  double bytes = 0;
  if (value.is_number()) {
    bytes = value.number();
  } else if (!value.is_string() || !ReadDouble(value.view(), &bytes)) {
    return rt.Fail("filesizeformat: not a number");
  }
  const bool binary = params.Bool(0, false);
  const double base = binary ? 1024 : 1000;
  std::string out;
  if (bytes == 1) {
    out = "1 Byte";
  } else if (bytes < base) {
    out = fmt::format("{} Bytes", static_cast<int64_t>(std::max(bytes, -1e18)));
  } else {
    constexpr std::string_view kPrefixes = "kMGTPEZY";
    double unit = base * base;
    size_t i = 0;
    for (; i + 1 < kPrefixes.size() && bytes >= unit; ++i) unit *= base;
    const char prefix = i == 0 && binary ? 'K' : kPrefixes[i];
    out = fmt::format("{:.1f} {}{}", base * bytes / unit, prefix, binary ? "iB" : "B");
  }
  return rt.NewString(out, Origin::kTemplate);
}

Value WordCount(Runtime& rt, const Value& value, Arguments& args) {
  if (!Params(rt, "wordcount", args, {}, 0).ok()) return Value::Undefined();
  const TaintedText text = ToText(rt, value);
  if (!rt.SpendBytes(text.size())) return Value::Undefined();
  int64_t count = 0;
  bool in_word = false;
  for (size_t pos = 0, length = 0; pos < text.size(); pos += length) {
    const char32_t c = Decode(text.view(), pos, &length);
    const bool word = IsAlpha(c) || IsDecimal(c) || c == '_';
    count += word && !in_word ? 1 : 0;
    in_word = word;
  }
  return Value::Int(count);
}

Value Attr(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "attr", args, {"name"}, 1);
  const TaintedText* name = params.ok() ? params.Text(0) : nullptr;
  if (!rt.ok()) return Value::Undefined();
  if (value.is_undefined()) return rt.FailUndefined(value);
  return name == nullptr ? Value::Undefined() : AttributeOnly(rt, value, name->view(), -1);
}

constexpr std::pair<std::string_view, Function> kFilters[] = {
    {"default", Default},     {"d", Default},   {"length", LengthFilter},
    {"count", LengthFilter},  {"abs", Abs},     {"int", Int},
    {"float", Float},         {"round", Round}, {"filesizeformat", FileSize},
    {"wordcount", WordCount}, {"attr", Attr},
};

}  // namespace

Function FindValueFilter(std::string_view name) {
  for (const auto& [known, function] : kFilters) {
    if (known == name) return function;
  }
  return nullptr;
}

}  // namespace lb::text::jinja

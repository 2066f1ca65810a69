// The arithmetic half of operators.h.
#include <algorithm>
#include <cmath>

#include "text/jinja/operators.h"
#include "text/jinja/string_format.h"
#include "text/jinja/text_ops.h"

namespace lb::text::jinja {
namespace {

Value Unsupported(Runtime& rt, const char* op, const Value& a, const Value& b) {
  if (a.is_undefined()) return rt.FailUndefined(a);
  if (b.is_undefined()) return rt.FailUndefined(b);
  return rt.Fail("unsupported operand type(s) for {}: '{}' and '{}'", op, TypeName(a), TypeName(b));
}

Value Overflow(Runtime& rt) { return rt.Fail("integer out of range: 64 bits are supported"); }

// `count` copies of `value`, a string, list or tuple.
Value Repeat(Runtime& rt, const Value& value, int64_t count) {
  count = std::max<int64_t>(count, 0);
  if (value.is_string()) {
    const TaintedText& text = value.text();
    const int64_t limit = rt.limits().output_bytes;
    if (!text.empty() && count > limit / static_cast<int64_t>(text.size())) {
      return rt.Fail("a repeated string is longer than {} bytes", limit);
    }
    if (!rt.SpendBytes(text.size() * count)) return Value::Undefined();
    if (text.empty()) count = 0;
    const size_t total = text.size() * count;
    const bool one_origin =
        !text.any_data() || text.data()[0].end - text.data()[0].begin == text.size();
    if (one_origin) {
      std::string bytes;
      bytes.reserve(total);
      if (count > 0) bytes = text.str();
      // In doubling steps, the last one cut.
      while (bytes.size() < total)
        bytes.append(bytes, 0, std::min(bytes.size(), total - bytes.size()));
      return rt.NewString(
          TaintedText(std::move(bytes), text.any_data() ? Origin::kData : Origin::kTemplate),
          value.string().markup);
    }
    if (!rt.Spend(count)) return Value::Undefined();
    TaintedText out;
    out.Reserve(total);
    for (int64_t i = 0; i < count; ++i) out.Append(text);
    return rt.NewString(std::move(out), value.string().markup);
  }
  const auto& items = value.items();
  constexpr int64_t kMaxItems = 1'000'000;
  if (!items.empty() && count > kMaxItems / static_cast<int64_t>(items.size())) {
    return rt.Fail("a repeated list has more than {} elements", kMaxItems);
  }
  if (!rt.Spend(static_cast<int64_t>(items.size()) * count)) return Value::Undefined();
  std::vector<Value> out;
  for (int64_t i = 0; i < count && !items.empty(); ++i) {
    out.insert(out.end(), items.begin(), items.end());
  }
  return rt.NewSequence(value.kind(), std::move(out));
}

bool IsRepeatable(const Value& value) {
  return value.is_string() || value.is(Kind::kList) || value.is(Kind::kTuple);
}

Value IntPower(Runtime& rt, int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) return Overflow(rt);
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return Overflow(rt);
  }
  return Value::Int(result);
}

double PythonFmod(double a, double b) {
  double m = std::fmod(a, b);
  if (m != 0 && (m < 0) != (b < 0)) m += b;
  return m;
}

}  // namespace

Value Add(Runtime& rt, const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) {
    int64_t sum = 0;
    if (__builtin_add_overflow(a.integer(), b.integer(), &sum)) return Overflow(rt);
    return Value::Int(sum);
  }
  if (a.is_number() && b.is_number()) return Value::Double(a.number() + b.number());
  if (a.is_string() && b.is_string()) {
    const bool markup = a.string().markup || b.string().markup;
    TaintedText out;
    out.Reserve(a.text().size() + b.text().size());
    out.Append(markup && !a.string().markup ? EscapeHtml(a.text()) : a.text());
    if (markup && !b.string().markup) {
      out.Append(EscapeHtml(b.text()));
    } else {
      out.Append(b.text());
    }
    return rt.NewString(std::move(out), markup);
  }
  if (a.kind() == b.kind() && (a.is(Kind::kList) || a.is(Kind::kTuple))) {
    std::vector<Value> items;
    items.reserve(a.items().size() + b.items().size());
    items = a.items();
    items.insert(items.end(), b.items().begin(), b.items().end());
    return rt.NewSequence(a.kind(), std::move(items));
  }
  if (a.is_string() && !b.is_undefined()) {
    return rt.Fail("can only concatenate str (not \"{}\") to str", TypeName(b));
  }
  return Unsupported(rt, "+", a, b);
}

Value Subtract(Runtime& rt, const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) {
    int64_t difference = 0;
    if (__builtin_sub_overflow(a.integer(), b.integer(), &difference)) return Overflow(rt);
    return Value::Int(difference);
  }
  if (a.is_number() && b.is_number()) return Value::Double(a.number() - b.number());
  return Unsupported(rt, "-", a, b);
}

Value Multiply(Runtime& rt, const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) {
    int64_t product = 0;
    if (__builtin_mul_overflow(a.integer(), b.integer(), &product)) return Overflow(rt);
    return Value::Int(product);
  }
  if (a.is_number() && b.is_number()) return Value::Double(a.number() * b.number());
  if (IsRepeatable(a) && b.is_integral()) return Repeat(rt, a, b.integer());
  if (IsRepeatable(b) && a.is_integral()) return Repeat(rt, b, a.integer());
  return Unsupported(rt, "*", a, b);
}

Value Divide(Runtime& rt, const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) return Unsupported(rt, "/", a, b);
  if (b.number() == 0) return rt.Fail("division by zero");
  return Value::Double(a.number() / b.number());
}

Value FloorDivide(Runtime& rt, const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) return Unsupported(rt, "//", a, b);
  if (b.number() == 0) return rt.Fail("integer division or modulo by zero");
  if (a.is_integral() && b.is_integral()) {
    const int64_t x = a.integer(), y = b.integer();
    if (y == -1) return x == INT64_MIN ? Overflow(rt) : Value::Int(-x);
    return Value::Int(x / y - (x % y != 0 && (x < 0) != (y < 0) ? 1 : 0));
  }
  const double x = a.number(), y = b.number();
  return Value::Double(std::floor((x - PythonFmod(x, y)) / y + 0.5));
}

Value Modulo(Runtime& rt, const Value& a, const Value& b) {
  if (a.is_string()) return PercentFormat(rt, a, b);
  if (!a.is_number() || !b.is_number()) return Unsupported(rt, "%", a, b);
  if (b.number() == 0) return rt.Fail("integer division or modulo by zero");
  if (a.is_integral() && b.is_integral()) {
    const int64_t x = a.integer(), y = b.integer();
    if (y == -1) return Value::Int(0);
    const int64_t m = x % y;
    return Value::Int(m != 0 && (m < 0) != (y < 0) ? m + y : m);
  }
  return Value::Double(PythonFmod(a.number(), b.number()));
}

Value Power(Runtime& rt, const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) return Unsupported(rt, "** or pow()", a, b);
  if (a.is_integral() && b.is_integral() && b.integer() >= 0) {
    return IntPower(rt, a.integer(), b.integer());
  }
  if (a.number() == 0 && b.number() < 0) {
    return rt.Fail("0.0 cannot be raised to a negative power");
  }
  const double result = std::pow(a.number(), b.number());
  if (std::isnan(result) && !std::isnan(a.number()) && !std::isnan(b.number())) {
    return rt.Fail("a negative number to a fractional power is complex");
  }
  if (std::isinf(result) && std::isfinite(a.number()) && std::isfinite(b.number())) {
    return rt.Fail("Result too large");
  }
  return Value::Double(result);
}

Value Negate(Runtime& rt, const Value& value) {
  if (value.is_integral()) {
    return value.integer() == INT64_MIN ? Overflow(rt) : Value::Int(-value.integer());
  }
  if (value.is(Kind::kDouble)) return Value::Double(-value.number());
  if (value.is_undefined()) return rt.FailUndefined(value);
  return rt.Fail("bad operand type for unary -: '{}'", TypeName(value));
}

}  // namespace lb::text::jinja

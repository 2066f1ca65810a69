#include "text/jinja/tests.h"

#include "text/jinja/filters.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/params.h"
#include "text/jinja/to_string.h"

namespace lb::text::jinja {
namespace {

template <bool (*kIs)(const Value&)>
Value Plain(Runtime& rt, const Value& value, Arguments& args) {
  if (!Params(rt, "test", args, {}, 0).ok()) return Value::Undefined();
  return Value::Bool(kIs(value));
}

template <bool (*kIs)(Runtime&, const Value&, const Value&)>
Value WithOther(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "test", args, {"other"}, 1);
  if (!params.ok()) return Value::Undefined();
  return Value::Bool(kIs(rt, value, params[0]));
}

bool IsDefined(const Value& v) { return !v.is_undefined(); }
bool IsUndefined(const Value& v) { return v.is_undefined(); }
bool IsNone(const Value& v) { return v.is_none(); }
bool IsBoolean(const Value& v) { return v.is(Kind::kBool); }
bool IsTrue(const Value& v) { return v.is(Kind::kBool) && v.boolean(); }
bool IsFalse(const Value& v) { return v.is(Kind::kBool) && !v.boolean(); }
bool IsInteger(const Value& v) { return v.is(Kind::kInt); }
bool IsFloat(const Value& v) { return v.is(Kind::kDouble); }
bool IsNumber(const Value& v) { return v.is_number(); }
bool IsString(const Value& v) { return v.is_string(); }
bool IsMapping(const Value& v) { return v.is(Kind::kDict); }
bool IsEscaped(const Value& v) { return v.is_string() && v.string().markup; }
bool IsCallable(const Value& v) {
  return v.is(Kind::kCallable) || v.is(Kind::kLoop) || v.is_undefined();
}
// Has a length and elements: Python's undefined does.
bool IsSequence(const Value& v) {
  return v.is_string() || v.is(Kind::kList) || v.is(Kind::kTuple) || v.is(Kind::kRange) ||
         v.is(Kind::kDict) || v.is_undefined();
}

bool Eq(Runtime& rt, const Value& a, const Value& b) { return Equals(rt, a, b); }
bool Ne(Runtime& rt, const Value& a, const Value& b) { return !Equals(rt, a, b); }
bool Lt(Runtime& rt, const Value& a, const Value& b) { return Compare(rt, a, b, "<") < 0; }
bool Le(Runtime& rt, const Value& a, const Value& b) { return Compare(rt, a, b, "<=") <= 0; }
bool Gt(Runtime& rt, const Value& a, const Value& b) { return Compare(rt, a, b, ">") > 0; }
bool Ge(Runtime& rt, const Value& a, const Value& b) { return Compare(rt, a, b, ">=") >= 0; }
bool In(Runtime& rt, const Value& a, const Value& b) { return Contains(rt, b, a); }
bool SameAs(Runtime&, const Value& a, const Value& b) { return IsSame(a, b); }

bool DivisibleBy(Runtime& rt, const Value& a, const Value& b) {
  return Equals(rt, Modulo(rt, a, b), Value::Int(0));
}

template <int kRemainder>
Value Parity(Runtime& rt, const Value& value, Arguments& args) {
  if (!Params(rt, "test", args, {}, 0).ok()) return Value::Undefined();
  const Value rest = Modulo(rt, value, Value::Int(2));
  return rt.ok() ? Value::Bool(Equals(rt, rest, Value::Int(kRemainder))) : rest;
}

// lower and upper: str(value).islower().
template <bool kUpper>
Value IsCase(Runtime& rt, const Value& value, Arguments& args) {
  if (!Params(rt, "test", args, {}, 0).ok()) return Value::Undefined();
  const Value text = ToStringValue(rt, value);
  if (!rt.ok()) return Value::Undefined();
  Arguments none;
  return FindStringMethod(kUpper ? "isupper" : "islower")->function(rt, text, none);
}

Value IsFilter(Runtime& rt, const Value& value, Arguments&) {
  return value.is_string() ? Value::Bool(FindFilter(value.view()) != nullptr) : Value::Bool(false);
}

Value IsTest(Runtime& rt, const Value& value, Arguments&) {
  return value.is_string() ? Value::Bool(FindTest(value.view()) != nullptr) : Value::Bool(false);
}

constexpr std::pair<std::string_view, Function> kTests[] = {
    {"defined", Plain<IsDefined>},
    {"undefined", Plain<IsUndefined>},
    {"none", Plain<IsNone>},
    {"boolean", Plain<IsBoolean>},
    {"true", Plain<IsTrue>},
    {"false", Plain<IsFalse>},
    {"integer", Plain<IsInteger>},
    {"float", Plain<IsFloat>},
    {"number", Plain<IsNumber>},
    {"string", Plain<IsString>},
    {"mapping", Plain<IsMapping>},
    {"sequence", Plain<IsSequence>},
    {"iterable", Plain<IsIterable>},
    {"callable", Plain<IsCallable>},
    {"escaped", Plain<IsEscaped>},
    {"odd", Parity<1>},
    {"even", Parity<0>},
    {"divisibleby", WithOther<DivisibleBy>},
    {"lower", IsCase<false>},
    {"upper", IsCase<true>},
    {"filter", IsFilter},
    {"test", IsTest},
    {"sameas", WithOther<SameAs>},
    {"in", WithOther<In>},
    {"eq", WithOther<Eq>},
    {"==", WithOther<Eq>},
    {"equalto", WithOther<Eq>},
    {"ne", WithOther<Ne>},
    {"!=", WithOther<Ne>},
    {"lt", WithOther<Lt>},
    {"<", WithOther<Lt>},
    {"lessthan", WithOther<Lt>},
    {"le", WithOther<Le>},
    {"<=", WithOther<Le>},
    {"gt", WithOther<Gt>},
    {">", WithOther<Gt>},
    {"greaterthan", WithOther<Gt>},
    {"ge", WithOther<Ge>},
    {">=", WithOther<Ge>},
};

}  // namespace

Function FindTest(std::string_view name) {
  for (const auto& [known, function] : kTests) {
    if (known == name) return function;
  }
  return nullptr;
}

}  // namespace lb::text::jinja

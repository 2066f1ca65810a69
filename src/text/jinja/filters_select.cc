// map, select, reject and their relatives: a filter or test for each element.
#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/params.h"
#include "text/jinja/tests.h"

namespace lb::text::jinja {
namespace {

// The first positional argument, taken off; false when there is none.
bool TakeFirst(Arguments* args, Value* first) {
  if (args->positional.empty()) return false;
  *first = std::move(args->positional.front());
  args->positional.erase(args->positional.begin());
  return true;
}

Value MapAttribute(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "map", args, {"attribute", "default"}, 1);
  if (!params.ok()) return Value::Undefined();
  std::vector<Value> out;
  for (const Value& item : Iterate(rt, value)) {
    Value found = GetPath(rt, item, params[0]);
    if (!rt.Spend(1)) return Value::Undefined();
    out.push_back(found.is_undefined() && params.given_not_none(1) ? params[1] : std::move(found));
  }
  return rt.ok() ? rt.NewSequence(Kind::kGenerator, std::move(out)) : Value::Undefined();
}

Value Map(Runtime& rt, const Value& value, Arguments& args) {
  if (!Truthy(value)) return rt.NewSequence(Kind::kGenerator, {});
  const bool by_attribute = args.positional.empty() &&
                            std::any_of(args.named.begin(), args.named.end(), [](const auto& a) {
                              return a.first.view() == "attribute";
                            });
  if (by_attribute) return MapAttribute(rt, value, args);
  Value name;
  if (!TakeFirst(&args, &name)) return rt.Fail("map requires a filter argument");
  const Function function = name.is_string() ? FindFilter(name.view()) : nullptr;
  if (function == nullptr) return rt.Fail("map: there is no such filter");
  std::vector<Value> out;
  for (const Value& item : Iterate(rt, value)) {
    Arguments own = args;
    DepthGuard guard(rt);
    if (!rt.Spend(1)) return Value::Undefined();
    out.push_back(function(rt, item, own));
  }
  return rt.ok() ? rt.NewSequence(Kind::kGenerator, std::move(out)) : Value::Undefined();
}

template <bool kKeep, bool kByAttribute>
Value Select(Runtime& rt, const Value& value, Arguments& args) {
  if (!Truthy(value)) return rt.NewSequence(Kind::kGenerator, {});
  Value attribute;
  if (kByAttribute && !TakeFirst(&args, &attribute)) {
    return rt.Fail("Missing parameter for attribute name");
  }
  Value name;
  Function test = nullptr;
  if (TakeFirst(&args, &name)) {
    test = name.is_string() ? FindTest(name.view()) : nullptr;
    if (test == nullptr) return rt.Fail("select: there is no such test");
  }
  std::vector<Value> out;
  for (Value& item : Iterate(rt, value)) {
    const Value tested = kByAttribute ? GetPath(rt, item, attribute) : item;
    if (!rt.Spend(1)) return Value::Undefined();
    Arguments own = args;
    const bool passes = Truthy(test == nullptr ? tested : test(rt, tested, own));
    if (!rt.ok()) return Value::Undefined();
    if (passes == kKeep) out.push_back(std::move(item));
  }
  return rt.ok() ? rt.NewSequence(Kind::kGenerator, std::move(out)) : Value::Undefined();
}

constexpr std::pair<std::string_view, Function> kFilters[] = {
    {"map", Map},
    {"select", Select<true, false>},
    {"reject", Select<false, false>},
    {"selectattr", Select<true, true>},
    {"rejectattr", Select<false, true>},
};

}  // namespace

Function FindSelectFilter(std::string_view name) {
  for (const auto& [known, function] : kFilters) {
    if (known == name) return function;
  }
  return nullptr;
}

}  // namespace lb::text::jinja

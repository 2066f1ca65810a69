// Methods of dicts, lists and tuples.
#include <algorithm>

#include "text/jinja/access.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/params.h"

namespace lb::text::jinja {
namespace {

template <size_t N>
const Method* FindIn(const Method (&table)[N], std::string_view name) {
  const auto* it = std::find_if(std::begin(table), std::end(table),
                                [&](const Method& method) { return method.name == name; });
  return it == std::end(table) ? nullptr : it;
}

Value Get(Runtime& rt, const Value& self, Arguments& args) {
  if (args.positional.empty() || args.positional.size() > 2 || !args.named.empty()) {
    return rt.Fail("get() takes one or two positional arguments");
  }
  const Value& key = args.positional[0];
  if (!IsHashable(key)) return rt.Fail("unhashable type: '{}'", TypeName(key));
  if (const Value* found = FindKey(rt, self.dict(), key)) return *found;
  return args.positional.size() == 2 ? args.positional[1] : Value();
}

Value Keys(Runtime& rt, const Value& self, Arguments& args) {
  if (!Params(rt, "keys", args, {}, 0).ok()) return Value::Undefined();
  return rt.NewSequence(Kind::kView, Iterate(rt, self), "dict_keys");
}

Value Values(Runtime& rt, const Value& self, Arguments& args) {
  if (!Params(rt, "values", args, {}, 0).ok()) return Value::Undefined();
  std::vector<Value> values;
  for (const auto& [key, value] : self.dict().entries) values.push_back(value);
  return rt.NewSequence(Kind::kView, std::move(values), "dict_values");
}

Value Items(Runtime& rt, const Value& self, Arguments& args) {
  if (!Params(rt, "items", args, {}, 0).ok()) return Value::Undefined();
  std::vector<Value> items;
  items.reserve(self.dict().entries.size());
  for (const auto& [key, value] : self.dict().entries) {
    items.push_back(rt.NewSequence(Kind::kTuple, {key, value}));
    if (!rt.ok()) return Value::Undefined();
  }
  return rt.NewSequence(Kind::kView, std::move(items), "dict_items");
}

// Nothing can change a dict or list, so a copy is the thing itself.
Value Copy(Runtime& rt, const Value& self, Arguments& args) {
  return Params(rt, "copy", args, {}, 0).ok() ? self : Value::Undefined();
}

Value FromKeys(Runtime& rt, const Value&, Arguments& args) {
  Params params(rt, "fromkeys", args, {"iterable", "value"}, 1);
  if (!params.ok()) return Value::Undefined();
  std::vector<std::pair<Value, Value>> entries;
  for (Value& key : Iterate(rt, params[0])) entries.emplace_back(std::move(key), params[1]);
  return rt.ok() ? rt.NewDict(std::move(entries)) : Value::Undefined();
}

Value Count(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "count", args, {"value"}, 1);
  if (!params.ok()) return Value::Undefined();
  int64_t count = 0;
  for (const Value& item : self.items()) count += Equals(rt, item, params[0]) ? 1 : 0;
  return Value::Int(count);
}

Value Index(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "index", args, {"value", "start", "stop"}, 1);
  if (!params.ok()) return Value::Undefined();
  const int64_t length = static_cast<int64_t>(self.items().size());
  // Bounds as in a slice: from the end when negative, never outside.
  const auto bound = [&](int64_t at) {
    return at < -length ? 0 : at < 0 ? at + length : std::min(at, length);
  };
  const int64_t start = bound(params.Int(1, 0)), stop = bound(params.Int(2, length));
  if (!params.ok()) return Value::Undefined();
  for (int64_t i = start; i < stop; ++i) {
    if (Equals(rt, self.items()[i], params[0])) return Value::Int(i);
  }
  return rt.Fail("the value is not in the {}", TypeName(self));
}

constexpr Method kDictMethods[] = {
    {"get", Get},         {"items", Items},        {"keys", Keys},      {"values", Values},
    {"copy", Copy},       {"fromkeys", FromKeys},  {"clear", nullptr},  {"pop", nullptr},
    {"popitem", nullptr}, {"setdefault", nullptr}, {"update", nullptr},
};

constexpr Method kListMethods[] = {
    {"count", Count},    {"index", Index},     {"copy", Copy},    {"append", nullptr},
    {"clear", nullptr},  {"extend", nullptr},  {"pop", nullptr},  {"insert", nullptr},
    {"remove", nullptr}, {"reverse", nullptr}, {"sort", nullptr},
};

constexpr Method kTupleMethods[] = {{"count", Count}, {"index", Index}};

}  // namespace

const Method* FindDictMethod(std::string_view name) { return FindIn(kDictMethods, name); }
const Method* FindListMethod(std::string_view name) { return FindIn(kListMethods, name); }
const Method* FindTupleMethod(std::string_view name) { return FindIn(kTupleMethods, name); }

}  // namespace lb::text::jinja

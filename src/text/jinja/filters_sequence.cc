// Filters over sequences as wholes: join, first, sort, unique, ...
#include <algorithm>

#include "text/jinja/access.h"
#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/params.h"
#include "text/jinja/text_ops.h"
#include "text/jinja/to_string.h"

namespace lb::text::jinja {
namespace {

// Strings without regard to case, unless that is asked for.
Value SortKey(Runtime& rt, const Value& item, const Value& attribute, bool case_sensitive) {
  Value key = attribute.is_none() ? item : GetPath(rt, item, attribute);
  if (rt.ok() && key.is_string() && !case_sensitive) key = rt.NewString(Lower(key.text()));
  return key;
}

// Keys of `items`; several attributes, "a,b", make lists of keys.
std::vector<Value> SortKeys(Runtime& rt, const std::vector<Value>& items, const Value& attribute,
                            bool case_sensitive) {
  std::vector<Value> attributes = {attribute};
  if (attribute.is_string()) {
    attributes.clear();
    for (TaintedText& part : Split(attribute.text(), ",", -1)) {
      attributes.push_back(rt.NewString(std::move(part)));
    }
  }
  std::vector<Value> keys;
  for (const Value& item : items) {
    if (!rt.Spend(1)) break;
    std::vector<Value> parts;
    for (const Value& one : attributes) parts.push_back(SortKey(rt, item, one, case_sensitive));
    keys.push_back(parts.size() == 1 ? parts[0] : rt.NewSequence(Kind::kList, std::move(parts)));
  }
  return keys;
}

// Stable; ends early, in some order, when keys do not compare.
std::vector<Value> SortBy(Runtime& rt, std::vector<Value> items, const std::vector<Value>& keys,
                          bool reverse) {
  if (!rt.ok()) return {};
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (!rt.ok()) return false;
    return reverse ? Compare(rt, keys[b], keys[a], "<") < 0
                   : Compare(rt, keys[a], keys[b], "<") < 0;
  });
  std::vector<Value> sorted;
  sorted.reserve(items.size());
  for (const size_t i : order) sorted.push_back(std::move(items[i]));
  return sorted;
}

Value Join(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "join", args, {"d", "attribute"}, 0);
  if (!params.ok()) return Value::Undefined();
  const TaintedText separator = params.given(0) ? ToText(rt, params[0]) : TaintedText();
  TaintedText out;
  bool first = true;
  for (const Value& item : Iterate(rt, value)) {
    if (!first) out.Append(separator);
    first = false;
    const bool by_attribute = params.given_not_none(1);
    out.Append(ToText(rt, by_attribute ? GetPath(rt, item, params[1]) : item));
    if (static_cast<int64_t>(out.size()) > rt.limits().output_bytes) {
      return rt.Fail("a text is longer than {} bytes", rt.limits().output_bytes);
    }
    if (!rt.SpendBytes(separator.size())) return Value::Undefined();
  }
  return rt.ok() ? rt.NewString(std::move(out)) : Value::Undefined();
}

Value First(Runtime& rt, const Value& value, Arguments& args) {
  if (!Params(rt, "first", args, {}, 0).ok()) return Value::Undefined();
  std::vector<Value> items = Iterate(rt, value);
  return items.empty() ? Value::Undefined() : items.front();
}

Value Last(Runtime& rt, const Value& value, Arguments& args) {
  if (!Params(rt, "last", args, {}, 0).ok()) return Value::Undefined();
  if (value.is(Kind::kGenerator)) return rt.Fail("'generator' object is not reversible");
  if (value.is_undefined()) return value;
  std::vector<Value> items = Iterate(rt, value);
  return items.empty() ? Value::Undefined() : items.back();
}

Value List(Runtime& rt, const Value& value, Arguments& args) {
  if (!Params(rt, "list", args, {}, 0).ok()) return Value::Undefined();
  std::vector<Value> items = Iterate(rt, value);
  return rt.ok() ? rt.NewSequence(Kind::kList, std::move(items)) : Value::Undefined();
}

Value Reverse(Runtime& rt, const Value& value, Arguments& args) {
  if (!Params(rt, "reverse", args, {}, 0).ok()) return Value::Undefined();
  if (value.is_string()) return GetSlice(rt, value, Value(), Value(), Value::Int(-1));
  std::vector<Value> items = Iterate(rt, value);
  if (!rt.ok()) return Value::Undefined();
  std::reverse(items.begin(), items.end());
  return rt.NewSequence(Kind::kGenerator, std::move(items));
}

Value Sort(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "sort", args, {"reverse", "case_sensitive", "attribute"}, 0);
  if (!params.ok()) return Value::Undefined();
  std::vector<Value> items = Iterate(rt, value);
  if (!rt.ok()) return Value::Undefined();
  const std::vector<Value> keys = SortKeys(rt, items, params[2], params.Bool(1, false));
  items = SortBy(rt, std::move(items), keys, params.Bool(0, false));
  return rt.ok() ? rt.NewSequence(Kind::kList, std::move(items)) : Value::Undefined();
}

Value DictSort(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "dictsort", args, {"case_sensitive", "by", "reverse"}, 0);
  if (!params.ok()) return Value::Undefined();
  const TaintedText* by = params.Text(1);
  if (!params.ok()) return Value::Undefined();
  const bool by_value = by != nullptr && by->view() == "value";
  if (by != nullptr && !by_value && by->view() != "key") {
    return rt.Fail("You can only sort by either \"key\" or \"value\"");
  }
  if (value.is_undefined()) return rt.FailUndefined(value);
  if (!value.is(Kind::kDict))
    return rt.Fail("'{}' object has no attribute 'items'", TypeName(value));
  std::vector<Value> items, keys;
  for (const auto& [key, element] : value.dict().entries) {
    items.push_back(rt.NewSequence(Kind::kTuple, {key, element}));
    keys.push_back(SortKey(rt, by_value ? element : key, Value(), params.Bool(0, false)));
    if (!rt.ok()) return Value::Undefined();
  }
  items = SortBy(rt, std::move(items), keys, params.Bool(2, false));
  return rt.ok() ? rt.NewSequence(Kind::kList, std::move(items)) : Value::Undefined();
}

Value Items(Runtime& rt, const Value& value, Arguments& args) {
  if (!Params(rt, "items", args, {}, 0).ok()) return Value::Undefined();
  if (!value.is(Kind::kDict) && !value.is_undefined()) {
    return rt.Fail("Can only get item pairs from a mapping.");
  }
  std::vector<Value> items;
  if (value.is(Kind::kDict)) {
    for (const auto& [key, element] : value.dict().entries) {
      items.push_back(rt.NewSequence(Kind::kTuple, {key, element}));
      if (!rt.ok()) return Value::Undefined();
    }
  }
  return rt.NewSequence(Kind::kGenerator, std::move(items));
}

Value Unique(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "unique", args, {"case_sensitive", "attribute"}, 0);
  if (!params.ok()) return Value::Undefined();
  std::vector<Value> out;
  // The keys seen, as those of a dict.
  DictObject seen;
  for (Value& item : Iterate(rt, value)) {
    const Value key = SortKey(rt, item, params[1], params.Bool(0, false));
    if (!rt.Spend(1 + static_cast<int64_t>(seen.entries.size() / 16))) return Value::Undefined();
    if (!IsHashable(key)) return rt.Fail("unhashable type: '{}'", TypeName(key));
    if (FindKey(rt, seen, key) != nullptr) continue;
    seen.entries.emplace_back(key, Value());
    out.push_back(std::move(item));
  }
  return rt.ok() ? rt.NewSequence(Kind::kGenerator, std::move(out)) : Value::Undefined();
}

template <bool kMax>
Value Extreme(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, kMax ? "max" : "min", args, {"case_sensitive", "attribute"}, 0);
  if (!params.ok()) return Value::Undefined();
  Value best = Value::Undefined(), best_key;
  bool first = true;
  for (Value& item : Iterate(rt, value)) {
    Value key = SortKey(rt, item, params[1], params.Bool(0, false));
    const bool better =
        first || (kMax ? Compare(rt, key, best_key, ">") > 0 : Compare(rt, key, best_key, "<") < 0);
    if (!rt.ok()) return Value::Undefined();
    if (!better) continue;
    best = std::move(item);
    best_key = std::move(key);
    first = false;
  }
  return best;
}

Value Sum(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "sum", args, {"attribute", "start"}, 0);
  if (!params.ok()) return Value::Undefined();
  Value total = params.given(1) ? params[1] : Value::Int(0);
  if (total.is_string()) return rt.Fail("sum() can't sum strings");
  for (const Value& item : Iterate(rt, value)) {
    total = Add(rt, total, params.given_not_none(0) ? GetPath(rt, item, params[0]) : item);
    if (!rt.ok()) return Value::Undefined();
  }
  return total;
}

Value Batch(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "batch", args, {"linecount", "fill_with"}, 1);
  const int64_t size = params.ok() ? params.Int(0, 1) : 0;
  if (!rt.ok()) return Value::Undefined();
  std::vector<Value> rows, row;
  for (Value& item : Iterate(rt, value)) {
    if (static_cast<int64_t>(row.size()) == size) {
      rows.push_back(rt.NewSequence(Kind::kList, std::move(row)));
      row.clear();
    }
    row.push_back(std::move(item));
    if (!rt.ok()) return Value::Undefined();
  }
  if (!row.empty()) {
    while (params.given_not_none(1) && static_cast<int64_t>(row.size()) < size && rt.Spend(1)) {
      row.push_back(params[1]);
    }
    rows.push_back(rt.NewSequence(Kind::kList, std::move(row)));
  }
  return rt.ok() ? rt.NewSequence(Kind::kGenerator, std::move(rows)) : Value::Undefined();
}

Value SliceFilter(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "slice", args, {"slices", "fill_with"}, 1);
  const int64_t slices = params.ok() ? params.Int(0, 1) : 0;
  if (!rt.ok()) return Value::Undefined();
  const std::vector<Value> items = Iterate(rt, value);
  if (slices == 0) return rt.Fail("integer division or modulo by zero");
  if (slices > rt.limits().range) return rt.Fail("slice: more than {} slices", rt.limits().range);
  std::vector<Value> rows;
  size_t at = 0;
  for (int64_t i = 0; i < slices && rt.ok(); ++i) {
    const int64_t extra = static_cast<int64_t>(items.size()) % slices;
    const size_t size = items.size() / slices + (i < extra ? 1 : 0);
    std::vector<Value> row(items.begin() + at, items.begin() + at + size);
    at += size;
    if (params.given_not_none(1) && i >= extra) row.push_back(params[1]);
    rows.push_back(rt.NewSequence(Kind::kList, std::move(row)));
  }
  return rt.ok() ? rt.NewSequence(Kind::kGenerator, std::move(rows)) : Value::Undefined();
}

Value GroupBy(Runtime& rt, const Value& value, Arguments& args) {
  Params params(rt, "groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  if (!params.ok()) return Value::Undefined();
  std::vector<Value> items = Iterate(rt, value), keys, groups;
  const auto real_key = [&](const Value& item) {
    Value key = GetPath(rt, item, params[0]);
    return key.is_undefined() && params.given_not_none(1) ? params[1] : key;
  };
  const bool case_sensitive = params.Bool(2, false);
  for (const Value& item : items) {
    keys.push_back(SortKey(rt, real_key(item), Value(), case_sensitive));
    if (!rt.Spend(1)) return Value::Undefined();
  }
  items = SortBy(rt, std::move(items), keys, false);
  std::vector<Value> group;
  Value group_key;
  const auto close = [&] {
    const Value shown = real_key(group[0]);
    groups.push_back(
        rt.NewSequence(Kind::kTuple, {shown, rt.NewSequence(Kind::kList, std::move(group))}));
    group.clear();
  };
  for (Value& item : items) {
    Value key = SortKey(rt, real_key(item), Value(), case_sensitive);
    if (!group.empty() && !Equals(rt, key, group_key)) close();
    if (!rt.ok()) return Value::Undefined();
    group_key = std::move(key);
    group.push_back(std::move(item));
  }
  if (!group.empty()) close();
  return rt.ok() ? rt.NewSequence(Kind::kList, std::move(groups)) : Value::Undefined();
}

constexpr std::pair<std::string_view, Function> kFilters[] = {
    {"join", Join},       {"first", First},        {"last", Last},         {"list", List},
    {"reverse", Reverse}, {"sort", Sort},          {"dictsort", DictSort}, {"items", Items},
    {"unique", Unique},   {"min", Extreme<false>}, {"max", Extreme<true>}, {"sum", Sum},
    {"batch", Batch},     {"slice", SliceFilter},  {"groupby", GroupBy},
};

}  // namespace

Function FindSequenceFilter(std::string_view name) {
  for (const auto& [known, function] : kFilters) {
    if (known == name) return function;
  }
  return nullptr;
}

}  // namespace lb::text::jinja

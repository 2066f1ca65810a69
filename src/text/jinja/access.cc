#include "text/jinja/access.h"

#include <algorithm>

#include "text/jinja/loop.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/unicode.h"

namespace lb::text::jinja {
namespace {

// Python's slice.indices: the bounds of a walk over `length` elements.
struct Walk {
  int64_t start = 0, count = 0, step = 1;
};

bool ResolveSlice(Runtime& rt, const Value& start, const Value& stop, const Value& step,
                  int64_t length, Walk* walk) {
  for (const Value* bound : {&start, &stop, &step}) {
    if (!bound->is_none() && !bound->is_integral()) {
      if (bound->is_undefined()) {
        rt.Fail("slice indices must be integers or None, not undefined");
      } else {
        rt.Fail("slice indices must be integers or None, not {}", TypeName(*bound));
      }
      return false;
    }
  }
  // Steps beyond the length all mean the same.
  const int64_t by =
      step.is_none() ? 1 : std::clamp<int64_t>(step.integer(), -length - 1, length + 1);
  if (by == 0) {
    rt.Fail("slice step cannot be zero");
    return false;
  }
  const int64_t low = by < 0 ? -1 : 0;
  const int64_t high = by < 0 ? length - 1 : length;
  const auto resolve = [&](const Value& bound, int64_t missing) {
    if (bound.is_none()) return missing;
    const int64_t index = bound.integer();
    return index < 0 ? std::max(index < -length ? low : index + length, low)
                     : std::min(index, high);
  };
  walk->step = by;
  walk->start = resolve(start, by < 0 ? high : low);
  const int64_t end = resolve(stop, by < 0 ? low : high);
  const int64_t span = by < 0 ? walk->start - end : end - walk->start;
  const int64_t stride = by < 0 ? -by : by;
  walk->count = span > 0 ? (span + stride - 1) / stride : 0;
  return true;
}

Value SliceString(Runtime& rt, const Value& value, const Walk& walk) {
  const TaintedText& text = value.text();
  const bool markup = value.string().markup;
  if (walk.count == 0) return rt.NewString(TaintedText(), markup);
  if (!rt.SpendBytes(text.size())) return Value::Undefined();
  if (walk.step == 1) {
    const size_t begin = ByteOffset(text.view(), walk.start);
    const size_t end = begin + ByteOffset(text.view().substr(begin), walk.count);
    return rt.NewString(text.Sub(begin, end), markup);
  }
  std::vector<size_t> starts;
  for (size_t pos = 0, length = 0; pos < text.size(); pos += length) {
    starts.push_back(pos);
    Decode(text.view(), pos, &length);
  }
  starts.push_back(text.size());
  if (!rt.Spend(static_cast<int64_t>(starts.size()))) return Value::Undefined();
  TaintedText out;
  for (int64_t i = 0, at = walk.start; i < walk.count; ++i, at += walk.step) {
    out.Append(text, starts[at], starts[at + 1]);
  }
  return rt.NewString(std::move(out), markup);
}

Value CharAt(Runtime& rt, const Value& value, int64_t index, const Value& missing) {
  const TaintedText& text = value.text();
  if (!rt.SpendBytes(text.size())) return missing;
  if (index < 0) index += static_cast<int64_t>(CountChars(text.view()));
  if (index < 0) return missing;
  const size_t pos = ByteOffset(text.view(), index);
  if (pos >= text.size()) return missing;
  size_t length = 0;
  Decode(text.view(), pos, &length);
  return rt.NewString(text.Sub(pos, pos + length), value.string().markup);
}

// The element under `key`; false when Python would raise TypeError or LookupError.
bool Element(Runtime& rt, const Value& value, const Value& key, Value* out) {
  switch (value.kind()) {
    case Kind::kDict:
      if (const Value* found = IsHashable(key) ? FindKey(rt, value.dict(), key) : nullptr) {
        *out = *found;
        return true;
      }
      return false;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange: {
      if (!key.is_integral()) return false;
      const auto& items = value.items();
      const int64_t length = static_cast<int64_t>(items.size());
      const int64_t index = key.integer() < 0 ? key.integer() + length : key.integer();
      if (index < 0 || index >= length) return false;
      *out = items[index];
      return true;
    }
    case Kind::kString:
      if (!key.is_integral()) return false;
      *out = CharAt(rt, value, key.integer(), Value());
      return out->is_string();
    default:
      return false;
  }
}

}  // namespace

const Value* FindKey(Runtime& rt, const DictObject& dict, const Value& key) {
  if (key.is_string()) return dict.Find(key.view());
  for (const auto& [name, value] : dict.entries) {
    if (!name.is_string() && Equals(rt, name, key)) return &value;
  }
  return nullptr;
}

Value AttributeOnly(Runtime& rt, const Value& value, std::string_view name, int symbol) {
  if (value.is(Kind::kNamespace)) {
    const Value* found = value.ns().Find(name);
    return found != nullptr ? *found : Value::Undefined(UndefinedAttribute(value, symbol));
  }
  if (value.is(Kind::kLoop)) {
    bool found = false;
    Value attribute = value.loop().Attribute(rt, name, &found);
    return found ? attribute : LoopMethod(rt, value, name);
  }
  if (value.is(Kind::kCallable) && name == "name") {
    return rt.NewString(value.callable().name(), Origin::kTemplate);
  }
  if (const Method* method = FindMethod(value, name)) {
    if (method->function == nullptr) return Value::Undefined(UnsafeAttribute(value, symbol));
    return rt.Bind(method->function, value, method->name);
  }
  return Value::Undefined(UndefinedAttribute(value, symbol));
}

Value GetAttribute(Runtime& rt, const Value& value, std::string_view name, int symbol) {
  if (value.is_undefined()) return rt.FailUndefined(value);
  // The usual case, a dict's key that is no method, first.
  if (value.is(Kind::kDict) && FindMethod(value, name) == nullptr) {
    if (const Value* found = value.dict().Find(name)) return *found;
    return Value::Undefined(UndefinedAttribute(value, symbol));
  }
  return AttributeOnly(rt, value, name, symbol);
}

Value GetItem(Runtime& rt, const Value& value, const Value& key) {
  if (value.is_undefined()) return rt.FailUndefined(value);
  Value out;
  if (Element(rt, value, key, &out)) return out;
  if (!rt.ok()) return Value::Undefined();
  if (key.is_string()) return AttributeOnly(rt, value, key.view(), -1);
  return Value::Undefined(UndefinedAttribute(value, -1));
}

Value GetSlice(Runtime& rt, const Value& value, const Value& start, const Value& stop,
               const Value& step) {
  if (value.is_undefined()) return rt.FailUndefined(value);
  const bool sliceable = value.is_string() || value.is(Kind::kList) || value.is(Kind::kTuple) ||
                         value.is(Kind::kRange);
  if (!sliceable) return rt.Fail("'{}' object cannot be sliced", TypeName(value));
  Walk walk;
  if (!ResolveSlice(rt, start, stop, step, Length(rt, value), &walk)) return Value::Undefined();
  if (value.is_string()) return SliceString(rt, value, walk);
  std::vector<Value> items;
  if (!rt.Spend(walk.count / 4)) return Value::Undefined();
  items.reserve(walk.count);
  for (int64_t i = 0, at = walk.start; i < walk.count; ++i, at += walk.step) {
    items.push_back(value.items()[at]);
  }
  return rt.NewSequence(value.kind(), std::move(items));
}

}  // namespace lb::text::jinja

#include "text/jinja/operators.h"

#include <algorithm>

#include "text/jinja/access.h"
#include "text/jinja/loop.h"
#include "text/jinja/text_ops.h"
#include "text/jinja/unicode.h"

namespace lb::text::jinja {
namespace {

bool SequenceEquals(Runtime& rt, const std::vector<Value>& a, const std::vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!Equals(rt, a[i], b[i])) return false;
  }
  return true;
}

bool DictEquals(Runtime& rt, const DictObject& a, const DictObject& b) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = FindKey(rt, b, key);
    if (other == nullptr || !Equals(rt, value, *other)) return false;
  }
  return true;
}

int Sign(int64_t a, int64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

int Unordered(Runtime& rt, const Value& a, const Value& b, const char* op) {
  if (a.is_undefined()) {
    rt.FailUndefined(a);
  } else if (b.is_undefined()) {
    rt.FailUndefined(b);
  } else {
    rt.Fail("'{}' not supported between instances of '{}' and '{}'", op, TypeName(a), TypeName(b));
  }
  return 0;
}

}  // namespace

bool Truthy(const Value& value) {
  switch (value.kind()) {
    case Kind::kNone:
    case Kind::kUndefined:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.integer() != 0;
    case Kind::kDouble:
      return value.number() != 0;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      return !value.items().empty();
    case Kind::kDict:
      return !value.dict().entries.empty();
    case Kind::kLoop:
      return value.loop().length() > 0;
    case Kind::kGenerator:
    case Kind::kNamespace:
    case Kind::kCallable:
      return true;
  }
  return true;
}

bool IsHashable(const Value& value) {
  if (value.is(Kind::kTuple)) {
    return std::all_of(value.items().begin(), value.items().end(), IsHashable);
  }
  return !value.is(Kind::kList) && !value.is(Kind::kDict) && !value.is(Kind::kView);
}

bool IsSame(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  if (a.object() != nullptr) {
    // Equal short strings are one object in Python more often than not.
    return a.object() == b.object() || (a.is_string() && a.view() == b.view());
  }
  if (a.is(Kind::kDouble)) return a.number() == b.number();
  return a.is_none() || a.integer() == b.integer();
}

bool Equals(Runtime& rt, const Value& a, const Value& b) {
  if (!rt.Spend(1)) return false;
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.integer() == b.integer();
    return a.number() == b.number();
  }
  if (a.kind() != b.kind()) return false;
  if (a.object() != nullptr && a.object() == b.object()) return true;
  switch (a.kind()) {
    case Kind::kNone:
    case Kind::kUndefined:
      return true;
    case Kind::kString:
      return rt.SpendBytes(a.text().size()) && a.view() == b.view();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
      return SequenceEquals(rt, a.items(), b.items());
    case Kind::kDict:
      return DictEquals(rt, a.dict(), b.dict());
    default:
      return false;
  }
}

int Compare(Runtime& rt, const Value& a, const Value& b, const char* op) {
  if (!rt.Spend(1)) return 0;
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return Sign(a.integer(), b.integer());
    const double x = a.number(), y = b.number();
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (a.is_string() && b.is_string()) {
    // The order of UTF-8 bytes is that of code points.
    return rt.SpendBytes(std::min(a.text().size(), b.text().size())) ? a.view().compare(b.view())
                                                                     : 0;
  }
  if (a.kind() != b.kind() || (!a.is(Kind::kList) && !a.is(Kind::kTuple))) {
    return Unordered(rt, a, b, op);
  }
  const auto& x = a.items();
  const auto& y = b.items();
  for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
    if (Equals(rt, x[i], y[i])) continue;
    return rt.ok() ? Compare(rt, x[i], y[i], op) : 0;
  }
  return Sign(static_cast<int64_t>(x.size()), static_cast<int64_t>(y.size()));
}

bool Contains(Runtime& rt, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString:
      if (!item.is_string()) {
        rt.Fail("'in <string>' requires string as left operand, not {}", TypeName(item));
        return false;
      }
      return rt.SpendBytes(container.text().size()) &&
             FindBytes(container.view(), item.view()) != std::string_view::npos;
    case Kind::kDict:
      if (!IsHashable(item)) {
        rt.Fail("unhashable type: '{}'", TypeName(item));
        return false;
      }
      return FindKey(rt, container.dict(), item) != nullptr;
    case Kind::kUndefined:
      return false;
    default:
      break;
  }
  if (!IsIterable(container)) {
    rt.Fail("argument of type '{}' is not iterable", TypeName(container));
    return false;
  }
  const bool in_place = container.is_sequence() && !container.is(Kind::kGenerator);
  const std::vector<Value> drawn = in_place ? std::vector<Value>() : Iterate(rt, container);
  for (const Value& element : in_place ? container.items() : drawn) {
    if (Equals(rt, element, item)) return true;
    if (!rt.ok()) return false;
  }
  return false;
}

int64_t Length(Runtime& rt, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      return rt.SpendBytes(value.text().size()) ? static_cast<int64_t>(CountChars(value.view()))
                                                : 0;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      return static_cast<int64_t>(value.items().size());
    case Kind::kDict:
      return static_cast<int64_t>(value.dict().entries.size());
    case Kind::kLoop:
      return value.loop().length();
    default:
      rt.Fail("object of type '{}' has no len()", TypeName(value));
      return 0;
  }
}

bool IsIterable(const Value& value) {
  return value.is_sequence() || value.is_string() || value.is(Kind::kDict) ||
         value.is_undefined() || value.is(Kind::kLoop);
}

std::vector<Value> Iterate(Runtime& rt, const Value& value) {
  std::vector<Value> items;
  if (value.is(Kind::kGenerator)) {
    if (value.sequence().consumed) return items;
    value.sequence().consumed = true;
  }
  if (value.is_sequence()) {
    if (rt.Spend(static_cast<int64_t>(value.items().size() / 8))) items = value.items();
  } else if (value.is_string()) {
    const TaintedText& text = value.text();
    for (size_t pos = 0, length = 0; pos < text.size() && rt.ok(); pos += length) {
      Decode(text.view(), pos, &length);
      items.push_back(rt.NewString(text.Sub(pos, pos + length)));
    }
  } else if (value.is(Kind::kDict)) {
    if (!rt.Spend(static_cast<int64_t>(value.dict().entries.size() / 8))) return items;
    items.reserve(value.dict().entries.size());
    for (const auto& [key, unused] : value.dict().entries) items.push_back(key);
  } else if (!value.is_undefined()) {
    rt.Fail("'{}' object is not iterable", TypeName(value));
  }
  return items;
}

}  // namespace lb::text::jinja

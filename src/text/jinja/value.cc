#include "text/jinja/value.h"

#include <algorithm>

#include "text/jinja/callable.h"
#include "text/jinja/loop.h"

namespace lb::text::jinja {
namespace {

constexpr size_t kIndexFrom = 9;  // below, a walk over the entries is faster than hashing

template <typename Entries>
const Value* FindIn(const Entries& entries, std::string_view key) {
  for (const auto& [name, value] : entries) {
    if (name.is_string() && name.view() == key) return &value;
  }
  return nullptr;
}

}  // namespace

Value Value::Undefined(int64_t hint) {
  Value value;
  value.kind_ = Kind::kUndefined;
  value.scalar_.integer = hint;
  return value;
}

Value Value::Bool(bool boolean) {
  Value value;
  value.kind_ = Kind::kBool;
  value.scalar_.integer = boolean ? 1 : 0;
  return value;
}

Value Value::Int(int64_t integer) {
  Value value;
  value.kind_ = Kind::kInt;
  value.scalar_.integer = integer;
  return value;
}

Value Value::Double(double number) {
  Value value;
  value.kind_ = Kind::kDouble;
  value.scalar_.number = number;
  return value;
}

Value Value::String(std::string text, Origin origin) {
  auto object = std::make_shared<StringObject>();
  object->text = TaintedText(std::move(text), origin);
  return Of(Kind::kString, std::move(object));
}

Value Value::List(std::vector<Value> items) {
  auto object = std::make_shared<SequenceObject>();
  for (const Value& item : items) object->depth = std::max(object->depth, DepthOf(item));
  ++object->depth;
  object->items = std::move(items);
  return Of(Kind::kList, std::move(object));
}

Value Value::Dict(std::vector<std::pair<Value, Value>> entries) {
  auto object = std::make_shared<DictObject>();
  std::unordered_map<std::string_view, size_t> seen;
  for (auto& [key, value] : entries) {
    object->depth = std::max(object->depth, DepthOf(value));
    const auto [it, is_new] = seen.emplace(key.view(), object->entries.size());
    if (is_new) {
      object->entries.emplace_back(key, std::move(value));
    } else {
      object->entries[it->second].second = std::move(value);
    }
  }
  ++object->depth;
  object->BuildIndex();
  return Of(Kind::kDict, std::move(object));
}

Value Value::Of(Kind kind, std::shared_ptr<Object> object) {
  Value value;
  value.kind_ = kind;
  value.object_ = std::move(object);
  return value;
}

const StringObject& Value::string() const { return static_cast<StringObject&>(*object_); }
const TaintedText& Value::text() const { return string().text; }
const SequenceObject& Value::sequence() const { return static_cast<SequenceObject&>(*object_); }
const std::vector<Value>& Value::items() const { return sequence().items; }
const DictObject& Value::dict() const { return static_cast<DictObject&>(*object_); }
NamespaceObject& Value::ns() const { return static_cast<NamespaceObject&>(*object_); }
Callable& Value::callable() const { return static_cast<Callable&>(*object_); }
LoopObject& Value::loop() const { return static_cast<LoopObject&>(*object_); }

const Value* DictObject::Find(std::string_view key) const {
  if (index_.empty()) return FindIn(entries, key);
  const auto it = index_.find(key);
  return it == index_.end() ? nullptr : &entries[it->second].second;
}

void DictObject::BuildIndex() {
  index_.clear();
  if (entries.size() < kIndexFrom) return;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].first.is_string()) index_.emplace(entries[i].first.view(), i);
  }
}

const Value* NamespaceObject::Find(std::string_view key) const { return FindIn(attributes, key); }

int DepthOf(const Value& value) {
  return value.object() == nullptr || value.is(Kind::kNamespace) ? 0 : value.object()->depth;
}

std::string_view TypeName(const Value& value) {
  switch (value.kind()) {
    case Kind::kNone:
      return "NoneType";
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kDouble:
      return "float";
    case Kind::kString:
      return value.string().markup ? "Markup" : "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kRange:
      return "range";
    case Kind::kView:
      return value.sequence().type_name;
    case Kind::kGenerator:
      return "generator";
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kCallable:
      return value.callable().type_name();
    case Kind::kLoop:
      return "LoopContext";
  }
  return "object";
}

}  // namespace lb::text::jinja

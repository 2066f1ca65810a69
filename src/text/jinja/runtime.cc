#include "text/jinja/runtime.h"

#include <algorithm>

#include "text/jinja/operators.h"

namespace lb::text::jinja {
namespace {

// Layout of a hint: bits 0-31 symbol + 1, bits 32-39 kind of the owner + 1, bit 40 unsafe.
constexpr int64_t kUnsafe = int64_t{1} << 40;

int64_t OwnerBits(const Value& owner) { return (static_cast<int64_t>(owner.kind()) + 1) << 32; }

constexpr std::string_view kOwnerNames[] = {
    "None",  "Undefined", "bool",      "int",  "float",     "str",      "list",       "tuple",
    "range", "view",      "generator", "dict", "namespace", "function", "LoopContext"};

int64_t TextBytes(const TaintedText& text) {
  return static_cast<int64_t>(text.str().capacity() + 16 * text.data().size());
}

}  // namespace

int64_t UndefinedName(int symbol) { return symbol + 1; }

int64_t UndefinedAttribute(const Value& owner, int symbol) {
  return OwnerBits(owner) | (symbol + 1);
}

int64_t UnsafeAttribute(const Value& owner, int symbol) {
  return kUnsafe | UndefinedAttribute(owner, symbol);
}

Runtime::~Runtime() {
  // Namespaces and scopes may hold each other and themselves: empty them all before any dies.
  // Their contents die one by one, each no deeper than value_depth.
  for (const auto& ns : namespaces_) {
    std::vector<std::pair<Value, Value>> contents;
    contents.swap(ns->attributes);
  }
  for (const auto& object : cyclic_) object->Clear();
}

Value Runtime::FailWith(std::string message, bool raised) {
  if (!failed_) {
    failed_ = true;
    raised_ = raised;
    message_ = std::move(message);
    failed_line_ = line_;
  }
  return Value::Undefined();
}

Value Runtime::FailUndefined(const Value& undefined) {
  const int64_t hint = undefined.hint();
  const int symbol = static_cast<int>(hint & 0xFFFFFFFF) - 1;
  const int owner = static_cast<int>(hint >> 32 & 0xFF) - 1;
  if (owner < 0 && symbol < 0) return Fail("value is undefined");
  if (owner < 0) return Fail("'{}' is undefined", symbols_.name(symbol));
  const std::string_view type = kOwnerNames[owner];
  if (hint & kUnsafe) {
    if (symbol < 0) return Fail("access to a method that changes a '{}' object is unsafe", type);
    return Fail("access to attribute '{}' of '{}' object is unsafe", symbols_.name(symbol), type);
  }
  if (symbol < 0) return Fail("'{} object' has no such element", type);
  return Fail("'{} object' has no attribute '{}'", type, symbols_.name(symbol));
}

bool Runtime::SpentAll() {
  Fail("the template takes more than {} steps", limits_.steps);
  return false;
}

Value Runtime::Adopt(Kind kind, std::shared_ptr<Object> object, int64_t bytes) {
  constexpr int64_t kOverhead = 64;
  object->heap = &heap_;
  object->bytes = bytes + kOverhead;
  heap_.live_bytes += object->bytes;
  if (heap_.live_bytes > limits_.memory_bytes) {
    return Fail("the template takes more than {} MiB of memory", limits_.memory_bytes >> 20);
  }
  if (object->depth > limits_.value_depth) {
    return Fail("values nest deeper than {}", limits_.value_depth);
  }
  return Value::Of(kind, std::move(object));
}

Value Runtime::NewString(TaintedText text, bool markup) {
  if (!SpendBytes(text.size())) return Value::Undefined();
  auto object = std::make_shared<StringObject>();
  object->text = std::move(text);
  object->markup = markup;
  const int64_t bytes = TextBytes(object->text);
  return Adopt(Kind::kString, std::move(object), bytes);
}

Value Runtime::NewString(std::string_view text, Origin origin) {
  return NewString(TaintedText(std::string(text), origin));
}

Value Runtime::NewSequence(Kind kind, std::vector<Value> items, const char* type_name) {
  if (!Spend(1 + static_cast<int64_t>(items.size() / 4))) return Value::Undefined();
  auto object = std::make_shared<SequenceObject>();
  for (const Value& item : items) object->depth = std::max(object->depth, DepthOf(item));
  ++object->depth;
  object->items = std::move(items);
  object->type_name = type_name;
  const int64_t bytes = static_cast<int64_t>(object->items.capacity() * sizeof(Value));
  return Adopt(kind, std::move(object), bytes);
}

Value Runtime::NewDict(std::vector<std::pair<Value, Value>> entries) {
  if (!Spend(1 + static_cast<int64_t>(entries.size()))) return Value::Undefined();
  auto object = std::make_shared<DictObject>();
  // Short dicts: compare each with each. Long ones: strings, the usual keys, through a map.
  std::unordered_map<std::string_view, size_t> seen;
  for (auto& [key, value] : entries) {
    if (!IsHashable(key)) return Fail("unhashable type: '{}'", TypeName(key));
    object->depth = std::max({object->depth, DepthOf(key), DepthOf(value)});
    size_t at = object->entries.size();
    if (key.is_string()) {
      at = seen.emplace(key.view(), at).first->second;
    } else {
      for (size_t i = 0; i < object->entries.size() && ok(); ++i) {
        if (!object->entries[i].first.is_string() && Equals(*this, object->entries[i].first, key)) {
          at = i;
        }
      }
    }
    if (at == object->entries.size()) {
      object->entries.emplace_back(key, std::move(value));
    } else {
      object->entries[at].second = std::move(value);
    }
  }
  ++object->depth;
  object->BuildIndex();
  const int64_t bytes = static_cast<int64_t>(object->entries.size() * 4 * sizeof(Value));
  return Adopt(Kind::kDict, std::move(object), bytes);
}

Value Runtime::NewNamespace(std::vector<std::pair<Value, Value>> attributes) {
  auto object = std::make_shared<NamespaceObject>();
  object->attributes = std::move(attributes);
  namespaces_.push_back(object);
  const int64_t bytes = static_cast<int64_t>(object->attributes.size() * 2 * sizeof(Value) + 64);
  return Adopt(Kind::kNamespace, std::move(object), bytes);
}

bool Runtime::SetAttribute(NamespaceObject& ns, const Value& name, Value value) {
  if (!Spend(1 + static_cast<int64_t>(ns.attributes.size() / 16))) return false;
  for (auto& [key, old] : ns.attributes) {
    if (key.view() == name.view()) {
      old = std::move(value);
      return true;
    }
  }
  ns.attributes.emplace_back(name, std::move(value));
  constexpr int64_t kBytes = 2 * sizeof(Value);
  ns.bytes += kBytes;
  heap_.live_bytes += kBytes;
  return true;
}

Value Runtime::Bind(Function function, Value self, std::string_view name) {
  return Adopt(Kind::kCallable, std::make_shared<BoundFunction>(function, std::move(self), name),
               sizeof(BoundFunction));
}

}  // namespace lb::text::jinja

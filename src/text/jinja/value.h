// The values of the template language: Python's, as far as templates meet them. Immutable but for
// namespaces and generators, as the sandbox wants it; copies are cheap (shared).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/jinja/tainted_text.h"

namespace lb::text::jinja {

enum class Kind : uint8_t {
  kNone,
  kUndefined,
  kBool,
  kInt,
  kDouble,
  kString,
  kList,
  kTuple,
  kRange,
  kView,
  kGenerator,  // all of them a SequenceObject
  kDict,
  kNamespace,
  kCallable,
  kLoop,
};

struct Object;
struct StringObject;
struct SequenceObject;
struct DictObject;
struct NamespaceObject;
class Callable;
class LoopObject;

class Value {
 public:
  Value() = default;                         // none
  static Value Undefined(int64_t hint = 0);  // `hint`: Runtime::DescribeUndefined's business
  static Value Bool(bool value);
  static Value Int(int64_t value);
  static Value Double(double value);
  static Value String(std::string text, Origin origin = Origin::kData);
  static Value List(std::vector<Value> items);
  // Keys are strings; of equal keys the last value stays.
  static Value Dict(std::vector<std::pair<Value, Value>> entries);
  static Value Of(Kind kind, std::shared_ptr<Object> object);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_sequence() const { return kind_ >= Kind::kList && kind_ <= Kind::kGenerator; }
  bool is_integral() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  bool is_number() const { return is_integral() || kind_ == Kind::kDouble; }

  // Each only for its kind.
  bool boolean() const { return scalar_.integer != 0; }
  int64_t integer() const { return scalar_.integer; }  // also of a bool
  int64_t hint() const { return scalar_.integer; }
  double number() const {
    return kind_ == Kind::kDouble ? scalar_.number : static_cast<double>(scalar_.integer);
  }
  const StringObject& string() const;
  const TaintedText& text() const;
  std::string_view view() const { return text().view(); }
  const SequenceObject& sequence() const;
  const std::vector<Value>& items() const;
  const DictObject& dict() const;
  NamespaceObject& ns() const;
  Callable& callable() const;
  LoopObject& loop() const;
  const std::shared_ptr<Object>& object() const { return object_; }

 private:
  Kind kind_ = Kind::kNone;
  union {
    int64_t integer = 0;
    double number;
  } scalar_;
  std::shared_ptr<Object> object_;
};

// Counts the bytes that the values of one rendering hold, so that a template cannot eat the
// machine. Outlives the values it counts.
struct Heap {
  int64_t live_bytes = 0;
};

struct Object {
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() {
    if (heap != nullptr) heap->live_bytes -= bytes;
  }
  Heap* heap = nullptr;
  int64_t bytes = 0;
  // 1 + that of the deepest element: bounded, so that no recursion over values can overflow the
  // stack. A namespace counts as 0: it is owned by the rendering, not by who refers to it.
  int depth = 0;
};

struct StringObject : Object {
  TaintedText text;
  bool markup = false;  // markupsafe's Markup: escapes what is added to it
};

struct SequenceObject : Object {
  std::vector<Value> items;
  const char* type_name = "list";
  mutable bool consumed = false;  // of a generator
};

struct DictObject : Object {
  std::vector<std::pair<Value, Value>> entries;

  const Value* Find(std::string_view key) const;
  // To be called after the last change of `entries`; makes Find fast.
  void BuildIndex();

 private:
  std::unordered_map<std::string_view, size_t> index_;
};

struct NamespaceObject : Object {
  std::vector<std::pair<Value, Value>> attributes;
  const Value* Find(std::string_view key) const;
};

// Depth of a value for a container that holds it: 0 for what holds nothing.
int DepthOf(const Value& value);
// Python's name of the type: "str", "dict", ...
std::string_view TypeName(const Value& value);

}  // namespace lb::text::jinja

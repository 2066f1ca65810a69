// What a template can call: macros, methods, global functions.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace lb::text::jinja {

class Runtime;

struct Arguments {
  std::vector<Value> positional;
  // Names are string values, so that names out of input data (f(**data)) keep their origin.
  std::vector<std::pair<Value, Value>> named;
};

class Callable : public Object {
 public:
  // Fails through the runtime.
  virtual Value Call(Runtime& rt, Arguments& args) = 0;
  virtual std::string_view type_name() const = 0;
  virtual std::string_view name() const = 0;
};

// Every filter, method and global function.
using Function = Value (*)(Runtime& rt, const Value& self, Arguments& args);

// A method of `self`, or a global function (self is none).
class BoundFunction final : public Callable {
 public:
  BoundFunction(Function function, Value self, std::string_view name);
  Value Call(Runtime& rt, Arguments& args) override;
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  std::string_view name() const override { return name_; }

 private:
  Function function_;
  Value self_;
  std::string_view name_;  // of a table: lives for ever
};

// Calls any value; fails with Python's words when it cannot be called.
Value CallValue(Runtime& rt, const Value& callee, Arguments& args);

}  // namespace lb::text::jinja

// The `loop` variable of a for statement.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "text/jinja/callable.h"

namespace lb::text::jinja {

class LoopObject final : public Callable {
 public:
  // Runs the loop again over other items, one level deeper: for `recursive` loops.
  using Recurse = std::function<Value(const Value& iterable, int64_t depth0)>;

  LoopObject(Value items, int64_t depth0);

  // The value of `loop.name`, but for its methods; *found says whether there is one.
  Value Attribute(Runtime& rt, std::string_view name, bool* found);
  Value Call(Runtime& rt, Arguments& args) override;
  std::string_view type_name() const override { return "LoopContext"; }
  std::string_view name() const override { return "loop"; }

  void set_recurse(Recurse recurse) { recurse_ = std::move(recurse); }
  void set_index(int64_t index0) { index0_ = index0; }
  int64_t index0() const { return index0_; }
  int64_t length() const { return static_cast<int64_t>(items_.items().size()); }
  Value Cycle(Runtime& rt, Arguments& args) const;
  Value Changed(Runtime& rt, Arguments& args);
  // The statement is over: a loop value that outlives it can no longer recurse, and lets go of what
  // may refer back to it.
  void Finish() {
    recurse_ = nullptr;
    last_changed_ = Value();
  }

 private:
  Value items_;  // a list
  int64_t index0_ = 0;
  int64_t depth0_;
  Recurse recurse_;
  bool has_last_ = false;
  Value last_changed_;  // the tuple of arguments of the last `changed` call
};

// loop.cycle and loop.changed as values; undefined for any other name.
Value LoopMethod(Runtime& rt, const Value& loop, std::string_view name);

}  // namespace lb::text::jinja

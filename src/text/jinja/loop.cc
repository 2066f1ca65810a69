#include "text/jinja/loop.h"

#include <memory>

#include "text/jinja/operators.h"
#include "text/jinja/runtime.h"

namespace lb::text::jinja {
namespace {

Value CycleMethod(Runtime& rt, const Value& self, Arguments& args) {
  return self.loop().Cycle(rt, args);
}

Value ChangedMethod(Runtime& rt, const Value& self, Arguments& args) {
  return self.loop().Changed(rt, args);
}

}  // namespace

LoopObject::LoopObject(Value items, int64_t depth0) : items_(std::move(items)), depth0_(depth0) {
  // A method of the loop refers to it: one more.
  depth = DepthOf(items_) + 1;
}

Value LoopObject::Attribute(Runtime& rt, std::string_view name, bool* found) {
  *found = true;
  const int64_t count = length();
  if (name == "index") return Value::Int(index0_ + 1);
  if (name == "index0") return Value::Int(index0_);
  if (name == "revindex") return Value::Int(count - index0_);
  if (name == "revindex0") return Value::Int(count - index0_ - 1);
  if (name == "first") return Value::Bool(index0_ == 0);
  if (name == "last") return Value::Bool(index0_ + 1 == count);
  if (name == "length") return Value::Int(count);
  if (name == "depth") return Value::Int(depth0_ + 1);
  if (name == "depth0") return Value::Int(depth0_);
  if (name == "previtem") {
    return index0_ == 0 ? Value::Undefined() : items_.items()[index0_ - 1];
  }
  if (name == "nextitem") {
    return index0_ + 1 >= count ? Value::Undefined() : items_.items()[index0_ + 1];
  }
  *found = false;
  return Value::Undefined();
}

Value LoopObject::Call(Runtime& rt, Arguments& args) {
  if (!recurse_) {
    return rt.Fail("the loop must have the 'recursive' marker to be called recursively");
  }
  if (args.positional.size() != 1 || !args.named.empty()) {
    return rt.Fail("loop() takes exactly one argument");
  }
  return recurse_(args.positional[0], depth0_ + 1);
}

Value LoopObject::Cycle(Runtime& rt, Arguments& args) const {
  if (args.positional.empty()) return rt.Fail("no items for cycling given");
  return args.positional[index0_ % static_cast<int64_t>(args.positional.size())];
}

Value LoopObject::Changed(Runtime& rt, Arguments& args) {
  Value now = rt.NewSequence(Kind::kTuple, std::move(args.positional));
  const bool same = has_last_ && rt.ok() && Equals(rt, last_changed_, now);
  last_changed_ = std::move(now);
  has_last_ = true;
  return Value::Bool(!same);
}

Value LoopMethod(Runtime& rt, const Value& loop, std::string_view name) {
  if (name == "cycle") return rt.Bind(CycleMethod, loop, "cycle");
  if (name == "changed") return rt.Bind(ChangedMethod, loop, "changed");
  return Value::Undefined();
}

}  // namespace lb::text::jinja

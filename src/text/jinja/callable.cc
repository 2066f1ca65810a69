#include "text/jinja/callable.h"

#include "text/jinja/loop.h"
#include "text/jinja/runtime.h"

namespace lb::text::jinja {

BoundFunction::BoundFunction(Function function, Value self, std::string_view name)
    : function_(function), self_(std::move(self)), name_(name) {
  depth = DepthOf(self_) + 1;
}

Value BoundFunction::Call(Runtime& rt, Arguments& args) { return function_(rt, self_, args); }

Value CallValue(Runtime& rt, const Value& callee, Arguments& args) {
  if (!rt.Spend(1)) return Value::Undefined();
  DepthGuard guard(rt);
  if (!guard.ok()) return Value::Undefined();
  if (callee.is(Kind::kCallable)) return callee.callable().Call(rt, args);
  if (callee.is(Kind::kLoop)) return callee.loop().Call(rt, args);
  if (callee.is_undefined()) return rt.FailUndefined(callee);
  return rt.Fail("'{}' object is not callable", TypeName(callee));
}

}  // namespace lb::text::jinja

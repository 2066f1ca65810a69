// Python's operators over values. Each fails through the runtime where Python raises.
#pragma once

#include <vector>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace lb::text::jinja {

bool Truthy(const Value& value);
bool IsHashable(const Value& value);
// Never fails but for the step limit.
bool Equals(Runtime& rt, const Value& a, const Value& b);
bool IsSame(const Value& a, const Value& b);  // Python's `is`
// <0, 0, >0; `op` ("<", ...) is for the message when the two cannot be ordered.
int Compare(Runtime& rt, const Value& a, const Value& b, const char* op);
bool Contains(Runtime& rt, const Value& container, const Value& item);

Value Add(Runtime& rt, const Value& a, const Value& b);
Value Subtract(Runtime& rt, const Value& a, const Value& b);
Value Multiply(Runtime& rt, const Value& a, const Value& b);
Value Divide(Runtime& rt, const Value& a, const Value& b);
Value FloorDivide(Runtime& rt, const Value& a, const Value& b);
Value Modulo(Runtime& rt, const Value& a, const Value& b);
Value Power(Runtime& rt, const Value& a, const Value& b);
Value Negate(Runtime& rt, const Value& value);

// len(); fails for what has none.
int64_t Length(Runtime& rt, const Value& value);
// The elements in order: characters of a string, keys of a dict. A generator is used up by it.
std::vector<Value> Iterate(Runtime& rt, const Value& value);
bool IsIterable(const Value& value);

}  // namespace lb::text::jinja

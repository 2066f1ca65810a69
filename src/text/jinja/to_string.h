// Python's str() and repr() of values.
#pragma once

#include <string>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace lb::text::jinja {

// str(value), with the origin of every byte. Fails when it grows too long.
TaintedText ToText(Runtime& rt, const Value& value);
TaintedText Repr(Runtime& rt, const Value& value);
// The value as a string value: itself when it is one.
Value ToStringValue(Runtime& rt, const Value& value);

// The shortest digits that read back as the same number, in Python's form: 1.0, 1e+16, inf, nan.
std::string FormatDouble(double number);

}  // namespace lb::text::jinja

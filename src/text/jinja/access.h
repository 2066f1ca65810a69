// Getting at parts of values: attributes, elements, slices. All the sandbox there is: dict keys,
// elements, and the methods of methods.h; nothing else has attributes.
#pragma once

#include <optional>
#include <string_view>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace lb::text::jinja {

// value.name: the attribute first, then the element. `symbol`: the name's number, or -1.
Value GetAttribute(Runtime& rt, const Value& value, std::string_view name, int symbol);
// value[key]: the element first, then the attribute.
Value GetItem(Runtime& rt, const Value& value, const Value& key);
// value[start:stop:step]; none stands for what is left out.
Value GetSlice(Runtime& rt, const Value& value, const Value& start, const Value& stop,
               const Value& step);
// Undefined when there is no such method or attribute (not looking at elements).
Value AttributeOnly(Runtime& rt, const Value& value, std::string_view name, int symbol);

// The value under a hashable key; nullptr when missing.
const Value* FindKey(Runtime& rt, const DictObject& dict, const Value& key);

}  // namespace lb::text::jinja

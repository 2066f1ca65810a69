// The methods of strings, lists and dicts, by Python's names.
#pragma once

#include <string_view>

#include "text/jinja/callable.h"

namespace lb::text::jinja {

struct Method {
  std::string_view name;
  // nullptr: Python has it, but it changes its object, which the sandbox forbids.
  Function function;
};

// nullptr when Python's type has no method of that name.
const Method* FindMethod(const Value& value, std::string_view name);

// The tables, one per file.
const Method* FindStringMethod(std::string_view name);
const Method* FindDictMethod(std::string_view name);
const Method* FindListMethod(std::string_view name);
const Method* FindTupleMethod(std::string_view name);

}  // namespace lb::text::jinja

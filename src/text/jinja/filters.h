// The filters behind `|`, by Jinja's names.
#pragma once

#include <string_view>

#include "text/jinja/callable.h"

namespace lb::text::jinja {

// nullptr when there is none of that name.
Function FindFilter(std::string_view name);

// The tables, one per file.
Function FindTextFilter(std::string_view name);
Function FindValueFilter(std::string_view name);
Function FindSequenceFilter(std::string_view name);
Function FindSelectFilter(std::string_view name);

// Jinja's "attribute" arguments: "name", "a.b.0" or a number, looked up part by part.
Value GetPath(Runtime& rt, const Value& value, const Value& path);

}  // namespace lb::text::jinja

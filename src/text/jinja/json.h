// JSON in and out of templates: `tojson` as Python's json.dumps writes it, and `from_json`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace lb::text::jinja {

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // one level of it; without: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

// Fails where json.dumps raises (undefined, functions, keys that are no scalars).
TaintedText DumpJson(Runtime& rt, const Value& value, const JsonStyle& style);
// Fails on what is not JSON. What comes out has the origin of the text (data if any of it is).
Value ParseJson(Runtime& rt, const TaintedText& text);

}  // namespace lb::text::jinja

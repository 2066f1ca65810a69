#include "text/jinja/filters.h"

#include <charconv>

#include "text/jinja/access.h"
#include "text/jinja/runtime.h"

namespace lb::text::jinja {

Function FindFilter(std::string_view name) {
  if (const Function found = FindTextFilter(name)) return found;
  if (const Function found = FindValueFilter(name)) return found;
  if (const Function found = FindSequenceFilter(name)) return found;
  return FindSelectFilter(name);
}

Value GetPath(Runtime& rt, const Value& value, const Value& path) {
  if (path.is_integral()) return GetItem(rt, value, Value::Int(path.integer()));
  if (!path.is_string()) return rt.Fail("an attribute must be a string or a number");
  Value at = value;
  std::string_view rest = path.view();
  while (rt.ok()) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    int64_t index = 0;
    const auto read = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool is_index = !part.empty() && read.ec == std::errc() && index >= 0 &&
                          read.ptr == part.data() + part.size();
    at = GetItem(rt, at, is_index ? Value::Int(index) : rt.NewString(part, Origin::kTemplate));
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  return at;
}

}  // namespace lb::text::jinja

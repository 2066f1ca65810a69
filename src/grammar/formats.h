// The string formats of JSON Schema and OpenAPI that are enforced, as regular expressions.
#pragma once

#include <optional>
#include <string_view>

namespace lb::grammar {

// The anchored expression of a format: no text of it is refused by the format's RFC; it has the
// usual forms rather than all (no quoted local parts in "email"). "": the format says nothing about
// the text. nullopt: not known.
std::optional<std::string_view> FormatPattern(std::string_view format);

}  // namespace lb::grammar

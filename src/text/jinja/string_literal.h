// The inside of a quoted string in template source.
#pragma once

#include <string>
#include <string_view>

namespace lb::text::jinja {

// Resolves Python's escapes; unknown ones stay as they are written. false on a malformed \x, \u
// or \U.
bool Unescape(std::string_view literal, std::string* out);

}  // namespace lb::text::jinja

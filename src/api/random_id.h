// Ids of replies and calls.
#pragma once

#include <string>
#include <string_view>

namespace lb::api {

// `prefix` and `length` random letters and digits.
std::string RandomId(std::string_view prefix, int length = 24);

}  // namespace lb::api

// The string methods that answer a question: startswith, find, isdigit, ...
#pragma once

#include <string_view>

#include "text/jinja/methods.h"

namespace lb::text::jinja {

const Method* FindStringQuery(std::string_view name);

}  // namespace lb::text::jinja

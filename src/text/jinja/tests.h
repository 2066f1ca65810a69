// The tests behind `is`.
#pragma once

#include <string_view>

#include "text/jinja/callable.h"

namespace lb::text::jinja {

// nullptr when there is none of that name. The function gives a value whose truth counts.
Function FindTest(std::string_view name);

}  // namespace lb::text::jinja

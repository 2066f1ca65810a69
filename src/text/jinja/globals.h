// The functions every chat template may call.
#pragma once

#include <span>
#include <string_view>
#include <utility>

#include "text/jinja/callable.h"

namespace lb::text::jinja {

// range, namespace, dict, raise_exception, strftime_now.
std::span<const std::pair<std::string_view, Function>> GlobalFunctions();

}  // namespace lb::text::jinja

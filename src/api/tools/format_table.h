// The formats that are known. Internal to api/tools.
#pragma once

#include <span>

#include "api/tools/format.h"

namespace lb::api {

std::span<const ToolFormat> ToolFormats();

}  // namespace lb::api

// `llama-box inspect FILE`: what is in a GGUF file, and what of it fits on this machine.
#pragma once

#include <string>

#include "base/result.h"

namespace lb::app {

// Text of many lines. A file that cannot be read as GGUF is an error of one line.
Result<std::string> InspectReport(const std::string& path);

}  // namespace lb::app

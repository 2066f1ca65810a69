// `llama-box inspect FILE`: what is in a GGUF file, and the memory it takes to serve it.
#pragma once

#include <string>

#include "base/result.h"

namespace lb::app {

// Text of many lines. A file that cannot be read as GGUF is an error of one line.
Result<std::string> InspectReport(const std::string& path);

}  // namespace lb::app

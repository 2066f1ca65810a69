// Names of flags that CLI11 cannot know: one dash and several letters, and old long names.
#pragma once

#include <string>

namespace lb::app {

// The name that a parser has for the flag `name`; `name` itself for any other word.
std::string Spelled(const std::string& name);

}  // namespace lb::app

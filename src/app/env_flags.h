// The environment variables that users of llama-server set instead of flags: LLAMA_ARG_* and
// LLAMA_API_KEY, with llama.cpp's names and meanings.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace lb::app {

// Null when the variable is not set: std::getenv, or a test's own.
using GetEnv = std::function<const char*(const char*)>;

// What the environment asks for, as flags. They go before those of the command line, which win.
// A switch is on for 1, on, true and enabled, off for 0, off, false and disabled; any other value
// becomes a flag that does not exist, and so a warning that names it.
std::vector<std::string> FlagsOfEnvironment(const GetEnv& get);

}  // namespace lb::app

// What this machine has, for people who report a fault or choose a flag.
#pragma once

#include <string>

namespace lb::app {

// Several lines: version, processor, cores, instruction set chosen, memory.
std::string SystemInfo();

// What can compute, a line each.
std::string ListDevices();

}  // namespace lb::app

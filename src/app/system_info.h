// What this machine and process have, as Linux tells it: for people who report a fault, choose a flag
// or compare figures.
#pragma once

#include <cstdint>
#include <string>

namespace lb::app {

// The most memory this process ever held (VmHWM), in bytes; 0 when unknown.
int64_t PeakMemory();
// "AMD EPYC 7763 64-Core Processor"; "unknown" when the system does not say, as on Arm.
std::string ProcessorName();

// Several lines: version, processor, cores, instruction set chosen, memory.
std::string SystemInfo();

// What can compute, a line each.
std::string ListDevices();

}  // namespace lb::app

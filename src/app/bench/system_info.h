// Facts about this process and machine, as Linux tells them.
#pragma once

#include <cstdint>
#include <string>

namespace lb::app {

// The most memory this process ever held (VmHWM), in bytes; 0 when unknown.
int64_t PeakMemory();
// "AMD EPYC 7763 64-Core Processor"; "unknown" when the system does not say.
std::string ProcessorName();

}  // namespace lb::app

// How much memory this process may still take.
#pragma once

#include <cstdint>
#include <string>

namespace lb {

// Bytes that can be had without swapping or being killed: what the system has available, and what
// is left in the control groups (v2, or v1's usual place) that hold this process, their file cache
// counted as free. 0 when unknown. `root` is put before every path, for tests.
int64_t AvailableMemory(const std::string& root = "");

}  // namespace lb

// The flags of the CPU backend, which every command that computes has.
#pragma once

#include "kernels/backends.h"

namespace CLI {
class App;  // its header takes seconds to compile
}

namespace lb::app {

void AddCpuFlags(CLI::App& app, CpuOptions* cpu);

}  // namespace lb::app

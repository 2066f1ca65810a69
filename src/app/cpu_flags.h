// The flags of the CPU backend, which every command that computes has.
#pragma once

#include <CLI/CLI.hpp>

#include "kernels/backends.h"

namespace lb::app {

void AddCpuFlags(CLI::App& app, CpuOptions* cpu);

}  // namespace lb::app

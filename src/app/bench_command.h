// `llama-box bench`: how fast a model runs here, and how near that is to what the machine can do.
#pragma once

#include "app/flags.h"

namespace lb::app {

// Prints to standard output; the exit code of the process.
int Bench(const Flags& flags);

}  // namespace lb::app

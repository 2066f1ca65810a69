// The command line of `llama-box bench`.
#pragma once

#include "app/flags.h"

namespace lb::app {

// argv[0] is "bench". An unknown flag is an error here: who measures wants to know.
Result<Flags> ParseBenchFlags(int argc, const char* const* argv);

}  // namespace lb::app

// `llama-box run`: an answer, or a chat, in the terminal.
#pragma once

#include "app/flags.h"

namespace lb::app {

// The process's exit code.
int Run(const Flags& flags);

}  // namespace lb::app

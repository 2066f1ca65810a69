// `llama-box -m MODEL`: the server's life.
#pragma once

#include "app/flags.h"

namespace lb::app {

// Serves until SIGTERM or SIGINT. The process's exit code: 0, or 1 after one line that says why it
// could not start. To be called with both signals blocked in every thread.
int Serve(const Flags& flags);

// Blocks the signals that Serve and Run wait for; before any thread starts.
void BlockSignals();

}  // namespace lb::app

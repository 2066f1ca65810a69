// --prompt-cache-file: the prefix cache outlives the process.
#pragma once

#include "app/compose.h"
#include "app/flags.h"

namespace lb::app {

// Before the engine's thread starts. A file that does not fit (another model, other KV types,
// damaged) is told in one line and left alone until the end, when Save replaces it; one that is no
// prompt cache at all is never written. The only error is a path that cannot be written later.
Result<void> LoadPromptCache(const Flags& flags, Composition* composition);

// After the engine's thread has stopped.
void SavePromptCache(const Flags& flags, Composition& composition);

}  // namespace lb::app

// What the command line says over a model file's own metadata: --override-kv, --rope-*, --yarn-*.
#pragma once

#include "app/flags.h"
#include "gguf/metadata.h"

namespace lb::app {

// Writes the flags into `metadata`, which the model is then read from. Errors name the flag.
Result<void> OverrideMetadata(const Flags& flags, gguf::Metadata* metadata);

}  // namespace lb::app

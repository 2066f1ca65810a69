// What requests get that say nothing else, as the command line has it.
#pragma once

#include "api/options.h"
#include "app/flags.h"
#include "text/tokenizer.h"

namespace lb::app {

// Errors name the flag.
Result<api::GenerationDefaults> MakeDefaults(const Flags& flags, const text::Tokenizer& tokenizer);

}  // namespace lb::app

// --model-draft: a second model that guesses for the first.
#pragma once

#include "app/compose.h"

namespace lb::app {

// Loads it beside the model of `c` and gives it to its engine. kInvalidArgument with the first
// difference when its vocabulary is another.
Result<void> LoadDraftModel(const Flags& flags, Composition* c, const LoadProgress& progress);

}  // namespace lb::app

// Flags that speak of tokens, which only the model's vocabulary can read: --logit-bias and
// --dry-sequence-breaker.
#pragma once

#include "app/flags.h"
#include "sampling/params.h"
#include "text/tokenizer.h"

namespace lb::app {

// Writes both into `sampling`. Errors name the flag and its value.
Result<void> ReadTokenFlags(const Flags& flags, const text::Tokenizer& tokenizer,
                            SamplingParams* sampling);

}  // namespace lb::app

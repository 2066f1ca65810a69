// Sampling parameters and the rest of what an answer depends on, as JSON: /props, /v1/models and
// llama.cpp's replies show them.
#pragma once

#include "api/json_writer.h"
#include "api/options.h"

namespace lb::api {

// Keys "temperature" to "mirostat_eta", into an open object.
void WriteSampling(const SamplingParams& sampling, JsonWriter* w);

// llama.cpp's "generation_settings": a whole object. `n_probs` is what the client asked for.
void WriteGenerationSettings(const GenerationOptions& options, int n_probs,
                             const text::Tokenizer& tokenizer, JsonWriter* w);

}  // namespace lb::api

// What /v1/chat/completions and /v1/completions have in common: how to generate.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/adapters.h"
#include "api/json_reader.h"
#include "api/reasoning/format.h"
#include "base/result.h"
#include "grammar/compiler.h"
#include "sampling/params.h"
#include "text/tokenizer.h"

namespace lb::api {

// What the operator chose; a request changes what it names.
struct GenerationDefaults {
  SamplingParams sampling;
  int64_t seed = -1;        // -1: a new one for each request
  int64_t max_tokens = -1;  // -1: until the context is full
  bool cache_prompt = true;
  bool context_shift = false;  // for no request to change
  int keep = 0;                // tokens that a shift keeps at the front; -1: the whole prompt
  bool ignore_eos = false;
  std::vector<std::string> stop;   // beside the request's own
  grammar::Constraint constraint;  // where the request has none
  bool show_control = false;       // control tokens are text (--special)
  bool verbose = false;            // replies show the prompt
  ReasoningMode reasoning = ReasoningMode::kAuto;
  std::optional<bool> enable_thinking;  // what templates with a switch are told; unset: yes
  int64_t thinking_budget = -1;         // tokens of thoughts; -1: no limit
  boost::json::object template_args;    // --chat-template-kwargs
  std::string tool_format;              // by name; "": as the template writes calls
  std::shared_ptr<Adapters> adapters;   // null: none
};

// Whose names and forms a body may use. Both know each other's sampling fields.
enum class Dialect { kOpenAi, kLlamaCpp };

struct GenerationOptions {
  std::string model;  // as the client wrote it; answered back
  int n = 1;
  bool stream = false;
  std::optional<bool> include_usage;  // unset: see OpenAiReply
  bool with_logprobs = false;
  bool timings_per_token = false;
  bool return_progress = false;  // streams tell how far the prompt is
  bool verbose = false;          // show the prompt in the reply
  std::vector<std::string> stop;
  // Tokens of the answer: -1 until the context is full; 0 computes the prompt and answers nothing.
  int64_t max_tokens = -1;
  int64_t max_predict_ms = 0;  // see AnswerOptions
  bool ignore_eos = false;
  bool cache_prompt = true;
  grammar::Constraint constraint;
  bool context_shift = false;
  int keep = 0;
  bool show_control = false;
  std::vector<AdapterUse> adapters;
  // `seed` is set: answer i of a prompt takes seed + i.
  SamplingParams sampling;
};

// Limits that no honest client meets.
inline constexpr int kMaxChoices = 128;  // n times prompts
inline constexpr size_t kMaxStops = 64;
inline constexpr size_t kMaxStopBytes = 4096;  // of one stop string
inline constexpr int kMaxChatLogprobs = 20;    // OpenAI's
inline constexpr int kMaxCompletionLogprobs = 5;
inline constexpr int kMaxNativeProbs = 1000;  // n_probs

// What an empty request would get; the seed as it is given, -1 for a new one too.
GenerationOptions OptionsOf(const GenerationDefaults& defaults);

// Reads every field that all endpoints share, by OpenAI's names and llama.cpp's. Logprobs are not
// among them: each endpoint asks in its own way.
Result<GenerationOptions> ParseOptions(const Fields& fields, const GenerationDefaults& defaults,
                                       const text::Tokenizer& tokenizer, Dialect dialect);

// Stop strings, one or a list.
Result<std::vector<std::string>> ParseStops(const Fields& fields, std::string_view key);

// The sampler part of the above.
Result<void> ParseSampling(const Fields& fields, const text::Tokenizer& tokenizer, Dialect dialect,
                           SamplingParams* sampling);

// A list of sampler names, as in `samplers` and --samplers.
Result<std::vector<SamplerStage>> ParseStages(const std::vector<std::string>& names);
std::string_view StageName(SamplerStage stage);
// What ends a repetition for dry when a request says nothing.
const std::vector<std::string>& DefaultDryBreakers();

}  // namespace lb::api

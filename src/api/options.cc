#include "api/options.h"

#include <algorithm>
#include <limits>
#include <random>

#include "api/constraint_fields.h"

namespace lb::api {
namespace {

constexpr int64_t kMaxMs = int64_t{1} << 40;

uint64_t RandomSeed() {
  // 53 bits, so that a seed in our logs survives a client's floating-point JSON.
  thread_local std::random_device device;
  return ((static_cast<uint64_t>(device()) << 32) | device()) & ((uint64_t{1} << 53) - 1);
}

Result<void> ParseSeed(const Fields& fields, int64_t fallback, uint64_t* seed) {
  const boost::json::value* value = fields.Find("seed");
  int64_t wanted = fallback;
  if (value != nullptr && value->is_uint64()) {
    *seed = value->get_uint64();
    return {};
  }
  if (value != nullptr) {
    const auto number = AsInt(*value);
    if (!number) return fields.Bad("seed", "an integer (-1 for a random one)");
    wanted = *number;
  }
  *seed = wanted == -1 ? RandomSeed() : static_cast<uint64_t>(wanted);
  return {};
}

Result<int64_t> ParseMaxTokens(const Fields& fields, int64_t fallback) {
  // The newest of OpenAI's names first; n_predict is llama.cpp's.
  for (const char* name : {"max_completion_tokens", "max_tokens", "n_predict"}) {
    LB_ASSIGN_OR_RETURN(const auto value,
                        fields.Int(name, -1, std::numeric_limits<int64_t>::max()));
    if (value) return *value;
  }
  return fallback;
}

Result<void> ParseAdapters(const Fields& fields, const GenerationDefaults& defaults,
                           std::vector<AdapterUse>* adapters) {
  LB_ASSIGN_OR_RETURN(const auto* list, fields.Array("lora"));
  if (list == nullptr) return {};
  static const Adapters kNone({});
  const Adapters& known = defaults.adapters == nullptr ? kNone : *defaults.adapters;
  LB_ASSIGN_OR_RETURN(*adapters, known.Parse(*list, fields.Name("lora")));
  return {};
}

}  // namespace

Result<std::vector<std::string>> ParseStops(const Fields& fields, std::string_view key) {
  LB_ASSIGN_OR_RETURN(std::vector<std::string> stops, fields.Strings(key));
  const std::string name = fields.Name(key);
  if (stops.size() > kMaxStops) {
    return BadField(
        name, fmt::format("{} may hold at most {} strings, not {}", name, kMaxStops, stops.size()));
  }
  for (size_t i = 0; i < stops.size(); ++i) {
    if (stops[i].size() > kMaxStopBytes) {
      return BadField(name, fmt::format("{}[{}] may be at most {} bytes long, not {}", name, i,
                                        kMaxStopBytes, stops[i].size()));
    }
  }
  return stops;
}

GenerationOptions OptionsOf(const GenerationDefaults& defaults) {
  GenerationOptions options;
  options.sampling = defaults.sampling;
  options.sampling.seed = static_cast<uint64_t>(defaults.seed);
  options.max_tokens = defaults.max_tokens;
  options.stop = defaults.stop;
  options.ignore_eos = defaults.ignore_eos;
  options.cache_prompt = defaults.cache_prompt;
  options.context_shift = defaults.context_shift;
  options.keep = defaults.keep;
  options.constraint = defaults.constraint;
  options.show_control = defaults.show_control;
  options.verbose = defaults.verbose;
  if (defaults.adapters != nullptr) options.adapters = defaults.adapters->Current();
  return options;
}

Result<GenerationOptions> ParseOptions(const Fields& fields, const GenerationDefaults& defaults,
                                       const text::Tokenizer& tokenizer, Dialect dialect) {
  GenerationOptions options = OptionsOf(defaults);
  LB_RETURN_IF_ERROR(fields.Read("model", &options.model));
  LB_RETURN_IF_ERROR(fields.Read("n", &options.n, 1, kMaxChoices));
  if (dialect == Dialect::kLlamaCpp) {
    LB_RETURN_IF_ERROR(fields.Read("n_cmpl", &options.n, 1, kMaxChoices));
  }
  LB_RETURN_IF_ERROR(fields.Read("stream", &options.stream));
  LB_ASSIGN_OR_RETURN(const auto* stream_options, fields.Object("stream_options"));
  if (stream_options != nullptr) {
    const Fields inner(*stream_options, fields.Name("stream_options."));
    LB_ASSIGN_OR_RETURN(options.include_usage, inner.Bool("include_usage"));
  }
  LB_ASSIGN_OR_RETURN(options.stop, ParseStops(fields, "stop"));
  options.stop.insert(options.stop.end(), defaults.stop.begin(), defaults.stop.end());
  LB_ASSIGN_OR_RETURN(options.max_tokens, ParseMaxTokens(fields, defaults.max_tokens));
  LB_RETURN_IF_ERROR(fields.Read("ignore_eos", &options.ignore_eos));
  LB_RETURN_IF_ERROR(fields.Read("cache_prompt", &options.cache_prompt));
  LB_RETURN_IF_ERROR(fields.Read("n_keep", &options.keep, -1, std::numeric_limits<int>::max()));
  LB_RETURN_IF_ERROR(fields.Read("timings_per_token", &options.timings_per_token));
  LB_RETURN_IF_ERROR(fields.Read("return_progress", &options.return_progress));
  LB_RETURN_IF_ERROR(fields.Read("verbose", &options.verbose));
  LB_ASSIGN_OR_RETURN(const auto time_limit, fields.Int("t_max_predict_ms", -1, kMaxMs));
  options.max_predict_ms = std::max<int64_t>(0, time_limit.value_or(0));
  LB_RETURN_IF_ERROR(ParseSeed(fields, defaults.seed, &options.sampling.seed));
  LB_RETURN_IF_ERROR(ParseSampling(fields, tokenizer, dialect, &options.sampling));
  LB_RETURN_IF_ERROR(ParseAdapters(fields, defaults, &options.adapters));
  LB_ASSIGN_OR_RETURN(options.constraint, ParseConstraint(fields));
  if (options.constraint.kind == grammar::Constraint::Kind::kNone) {
    options.constraint = defaults.constraint;
  }
  return options;
}

}  // namespace lb::api

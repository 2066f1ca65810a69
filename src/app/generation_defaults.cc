#include "app/generation_defaults.h"

#include <boost/json.hpp>

#include "app/token_flags.h"

namespace lb::app {

Result<api::GenerationDefaults> MakeDefaults(const Flags& flags, const text::Tokenizer& tokenizer) {
  api::GenerationDefaults defaults;
  defaults.sampling = flags.sampling;
  LB_RETURN_IF_ERROR(ReadTokenFlags(flags, tokenizer, &defaults.sampling));
  if (!flags.samplers.empty()) {
    std::vector<std::string> names(1);
    for (const char ch : flags.samplers) {
      ch == ';' ? names.emplace_back() : names.back() += std::string(1, ch);
    }
    std::erase(names, "");
    auto stages = api::ParseStages(names);
    if (!stages.has_value()) return Fail(ErrorCode::kInvalidArgument, "--{}", stages.error().message);
    defaults.sampling.stages = std::move(stages).value();
  }
  defaults.seed = flags.seed;
  defaults.max_tokens = flags.max_tokens;
  defaults.cache_prompt = flags.cache_prompt;
  defaults.context_shift = flags.context_shift;
  defaults.keep = flags.keep;
  defaults.ignore_eos = flags.ignore_eos;
  defaults.stop = flags.stop;
  defaults.show_control = flags.special;
  defaults.verbose = flags.verbosity >= kEverything;
  if (flags.reasoning_format == "none") defaults.reasoning = api::ReasoningMode::kNone;
  if (flags.reasoning_format.starts_with("deepseek")) {
    defaults.reasoning = api::ReasoningMode::kDeepSeek;
  }
  if (flags.tool_format != "auto") defaults.tool_format = flags.tool_format;
  defaults.enable_thinking = flags.enable_thinking;
  defaults.thinking_budget = flags.reasoning_budget;
  if (flags.reasoning_budget == 0) defaults.enable_thinking = false;
  if (!flags.chat_template_kwargs.empty()) {
    boost::system::error_code ec;
    const boost::json::value value = boost::json::parse(flags.chat_template_kwargs, ec);
    if (ec || !value.is_object()) {
      return Fail(ErrorCode::kInvalidArgument, "--chat-template-kwargs must be a JSON object, not {}",
                  flags.chat_template_kwargs.substr(0, 100));
    }
    defaults.template_args = value.as_object();
  }
  return defaults;
}

}  // namespace lb::app

#include "app/generation_defaults.h"

#include <boost/json.hpp>
#include <fstream>
#include <iterator>

#include "api/constraint_fields.h"
#include "app/token_flags.h"

namespace lb::app {
namespace {

Result<std::string> ReadText(const std::string& flag, const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(ErrorCode::kIo, "{}: {} cannot be read", flag, path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// What answers are bound to unless a request says something else. Not compiled yet.
Result<grammar::Constraint> ReadConstraint(const Flags& flags) {
  grammar::Constraint found;
  const std::pair<const char*, const std::string*> given[] = {
      {"--grammar", &flags.grammar},
      {"--grammar-file", &flags.grammar_file},
      {"--json-schema", &flags.json_schema},
      {"--json-schema-file", &flags.json_schema_file}};
  for (const auto& [flag, value] : given) {
    if (value->empty()) continue;
    if (found.kind != grammar::Constraint::Kind::kNone) {
      return Fail(ErrorCode::kInvalidArgument, "{} and {} both bind the answers", found.field,
                  flag);
    }
    std::string text = *value;
    if (std::string_view(flag).ends_with("-file")) {
      LB_ASSIGN_OR_RETURN(text, ReadText(flag, *value));
    }
    if (std::string_view(flag).starts_with("--grammar")) {
      found = {grammar::Constraint::Kind::kGbnf, std::move(text), flag};
      continue;
    }
    const Result<boost::json::value> schema = api::ParseJson(text);
    if (!schema.has_value()) {
      return Fail(ErrorCode::kInvalidArgument, "{}: {}", flag, schema.error().message);
    }
    LB_ASSIGN_OR_RETURN(found, api::SchemaConstraint(*schema, flag));
  }
  return found;
}

}  // namespace

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
    if (!stages.has_value())
      return Fail(ErrorCode::kInvalidArgument, "--{}", stages.error().message);
    defaults.sampling.stages = std::move(stages).value();
  }
  defaults.seed = flags.seed;
  defaults.max_tokens = flags.max_tokens;
  defaults.cache_prompt = flags.cache_prompt;
  defaults.context_shift = flags.context_shift;
  defaults.keep = flags.keep;
  defaults.ignore_eos = flags.ignore_eos;
  defaults.stop = flags.stop;
  LB_ASSIGN_OR_RETURN(defaults.constraint, ReadConstraint(flags));
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
      return Fail(ErrorCode::kInvalidArgument,
                  "--chat-template-kwargs must be a JSON object, not {}",
                  flags.chat_template_kwargs.substr(0, 100));
    }
    defaults.template_args = value.as_object();
  }
  return defaults;
}

}  // namespace lb::app

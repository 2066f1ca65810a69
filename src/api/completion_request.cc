#include "api/completion_request.h"

#include <algorithm>

namespace lb::api {
namespace json = boost::json;
namespace {

bool IsNumber(const json::value& value) { return AsNumber(value).has_value(); }

// One prompt: a string, or a list of token ids and strings.
Result<MixedPrompt> ParsePrompt(const json::value& value, const std::string& at, int num_tokens) {
  if (value.is_string()) return MixedPrompt{std::string(value.get_string())};
  if (value.is_object()) {
    const Fields fields(value.get_object(), at + ".");
    LB_ASSIGN_OR_RETURN(const std::string text, fields.RequiredString("prompt_string"));
    LB_ASSIGN_OR_RETURN(const auto media, fields.Strings("multimodal_data"));
    if (!media.empty()) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("{}.multimodal_data: this model reads text only", at), "prompt"};
    }
    return MixedPrompt{text};
  }
  if (!value.is_array() || value.get_array().empty()) {
    return BadField(at, fmt::format("{} must be a string or a list of token ids, not {}", at,
                                    value.is_array() ? "an empty list" : Describe(value)));
  }
  MixedPrompt prompt;
  for (size_t i = 0; i < value.get_array().size(); ++i) {
    const json::value& part = value.get_array()[i];
    if (part.is_string()) {
      prompt.emplace_back(std::string(part.get_string()));
      continue;
    }
    const auto id = AsInt(part);
    if (!id || *id < 0 || *id >= num_tokens) {
      const std::string name = fmt::format("{}[{}]", at, i);
      return BadField("prompt",
                      fmt::format("{} must be a string or a token id from 0 to {}, not {}", name,
                                  num_tokens - 1, Describe(part)));
    }
    if (prompt.empty() || prompt.back().index() == 0) prompt.emplace_back(std::vector<TokenId>());
    std::get<1>(prompt.back()).push_back(static_cast<TokenId>(*id));
  }
  return prompt;
}

Result<void> ParseLogprobs(const Fields& fields, GenerationOptions* options) {
  const json::value* value = fields.Find("logprobs");
  if (value == nullptr || (value->is_bool() && !value->get_bool())) return {};
  LB_RETURN_IF_ERROR(
      fields.Read("logprobs", &options->sampling.num_logprobs, 0, kMaxCompletionLogprobs));
  options->with_logprobs = true;
  return {};
}

}  // namespace

Result<PromptList> ParsePrompts(const Fields& fields, int num_tokens) {
  PromptList list;
  LB_RETURN_IF_ERROR(fields.Read("parse_special", &list.parse_special));
  const json::value* value = fields.Find("prompt");
  if (value == nullptr) return fields.Bad("prompt", "a string, or a list of strings or token ids");
  // A list with a number in it is one prompt; any other list is a list of prompts.
  list.many = value->is_array() && !value->get_array().empty() &&
              std::none_of(value->get_array().begin(), value->get_array().end(), IsNumber);
  if (!list.many) {
    LB_ASSIGN_OR_RETURN(MixedPrompt prompt, ParsePrompt(*value, "prompt", num_tokens));
    list.prompts.push_back(std::move(prompt));
    return list;
  }
  if (value->get_array().size() > kMaxChoices) {
    return BadField("prompt", fmt::format("prompt may hold at most {} prompts, not {}", kMaxChoices,
                                          value->get_array().size()));
  }
  for (size_t i = 0; i < value->get_array().size(); ++i) {
    LB_ASSIGN_OR_RETURN(MixedPrompt prompt, ParsePrompt(value->get_array()[i],
                                                        fmt::format("prompt[{}]", i), num_tokens));
    list.prompts.push_back(std::move(prompt));
  }
  return list;
}

Result<void> CheckChoices(size_t prompts, int n) {
  if (static_cast<int>(prompts) * n <= kMaxChoices) return {};
  return BadField("n", fmt::format("n times the number of prompts may be at most {}, not {} x {}",
                                   kMaxChoices, n, prompts));
}

Result<CompletionRequest> ParseCompletionRequest(const json::object& body,
                                                 const GenerationDefaults& defaults,
                                                 const text::Tokenizer& tokenizer) {
  const Fields fields(body);
  CompletionRequest request;
  LB_ASSIGN_OR_RETURN(request.options, ParseOptions(fields, defaults, tokenizer, Dialect::kOpenAi));
  LB_RETURN_IF_ERROR(ParseLogprobs(fields, &request.options));
  LB_ASSIGN_OR_RETURN(request.prompt, ParsePrompts(fields, tokenizer.num_tokens()));
  const size_t num_prompts = request.prompt.prompts.size();
  LB_RETURN_IF_ERROR(CheckChoices(num_prompts, request.options.n));
  LB_RETURN_IF_ERROR(fields.Read("echo", &request.echo));
  if (request.echo && request.options.with_logprobs) {
    return Error{ErrorCode::kUnsupported,
                 "echo together with logprobs needs the prompt's own logprobs, which this build "
                 "does not compute",
                 "echo"};
  }
  LB_RETURN_IF_ERROR(fields.Read("suffix", &request.suffix));
  request.best_of = request.options.n;
  LB_RETURN_IF_ERROR(fields.Read("best_of", &request.best_of, 1, kMaxChoices));
  if (request.best_of == 1) request.best_of = request.options.n;  // what clients send by default
  if (request.best_of < request.options.n) {
    return BadField("best_of", fmt::format("best_of must be at least n, which is {}, not {}",
                                           request.options.n, request.best_of));
  }
  if (request.best_of == request.options.n) return request;
  if (request.options.stream) {
    return BadField("best_of", "best_of above n cannot be streamed: the best is known at the end");
  }
  LB_RETURN_IF_ERROR(CheckChoices(num_prompts, request.best_of));
  // What they are ranked by.
  request.options.sampling.num_logprobs = std::max(0, request.options.sampling.num_logprobs);
  return request;
}

}  // namespace lb::api

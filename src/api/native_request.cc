#include "api/native_request.h"

namespace lb::api {
namespace json = boost::json;
namespace {

constexpr size_t kMaxExtraFiles = 1024;
constexpr size_t kMaxResponseFields = 256;

Result<NativeOptions> ParseNativeOptions(const Fields& fields, GenerationOptions* options) {
  NativeOptions native;
  LB_RETURN_IF_ERROR(fields.Read("n_probs", &native.n_probs, 0, kMaxNativeProbs));
  if (native.n_probs == 0) {
    // The name that OpenAI's clients would use.
    LB_ASSIGN_OR_RETURN(const auto logprobs, fields.Int("logprobs", 0, kMaxNativeProbs));
    native.n_probs = static_cast<int>(logprobs.value_or(0));
  }
  LB_RETURN_IF_ERROR(
      fields.Read("post_sampling_probs", &options->sampling.logprobs_after_sampling));
  if (native.n_probs > 0) {
    options->sampling.num_logprobs = native.n_probs;
    options->with_logprobs = true;
  }
  LB_RETURN_IF_ERROR(fields.Read("return_tokens", &native.return_tokens));
  LB_ASSIGN_OR_RETURN(native.response_fields, fields.Strings("response_fields"));
  if (native.response_fields.size() > kMaxResponseFields) {
    return BadField("response_fields",
                    fmt::format("response_fields may hold at most {} names", kMaxResponseFields));
  }
  return native;
}

Result<std::vector<InfillRequest::File>> ParseExtra(const Fields& fields) {
  std::vector<InfillRequest::File> files;
  LB_ASSIGN_OR_RETURN(const auto* extra, fields.Array("input_extra"));
  if (extra == nullptr) return files;
  if (extra->size() > kMaxExtraFiles) {
    return BadField("input_extra",
                    fmt::format("input_extra may hold at most {} files", kMaxExtraFiles));
  }
  for (size_t i = 0; i < extra->size(); ++i) {
    const std::string at = fmt::format("input_extra[{}]", i);
    LB_ASSIGN_OR_RETURN(const Fields file, ObjectAt((*extra)[i], at));
    LB_ASSIGN_OR_RETURN(const std::string text, file.RequiredString("text"));
    LB_ASSIGN_OR_RETURN(const auto name, file.String("filename"));
    files.push_back({name.value_or("tmp"), text});
  }
  return files;
}

}  // namespace

Result<NativeRequest> ParseNativeRequest(const json::object& body,
                                         const GenerationDefaults& defaults,
                                         const text::Tokenizer& tokenizer) {
  const Fields fields(body);
  NativeRequest request;
  LB_ASSIGN_OR_RETURN(request.options,
                      ParseOptions(fields, defaults, tokenizer, Dialect::kLlamaCpp));
  LB_ASSIGN_OR_RETURN(request.native, ParseNativeOptions(fields, &request.options));
  LB_ASSIGN_OR_RETURN(request.prompt, ParsePrompts(fields, tokenizer.num_tokens()));
  LB_RETURN_IF_ERROR(CheckChoices(request.prompt.prompts.size(), request.options.n));
  return request;
}

Result<InfillRequest> ParseInfillRequest(const json::object& body,
                                         const GenerationDefaults& defaults,
                                         const text::Tokenizer& tokenizer) {
  const Fields fields(body);
  InfillRequest request;
  LB_ASSIGN_OR_RETURN(request.options,
                      ParseOptions(fields, defaults, tokenizer, Dialect::kLlamaCpp));
  LB_ASSIGN_OR_RETURN(request.native, ParseNativeOptions(fields, &request.options));
  for (const auto& [key, text] :
       {std::pair{"input_prefix", &request.prefix}, std::pair{"input_suffix", &request.suffix}}) {
    if (fields.Find(key) == nullptr) return fields.Bad(key, "a string");
    LB_RETURN_IF_ERROR(fields.Read(key, text));
  }
  LB_ASSIGN_OR_RETURN(request.extra, ParseExtra(fields));
  const json::value* prompt = fields.Find("prompt");
  if (prompt == nullptr || (prompt->is_string() && prompt->get_string().empty())) return request;
  LB_ASSIGN_OR_RETURN(request.prompt, ParsePrompts(fields, tokenizer.num_tokens()));
  if (request.prompt.many) return BadField("prompt", "prompt: /infill fills one gap, not several");
  return request;
}

}  // namespace lb::api

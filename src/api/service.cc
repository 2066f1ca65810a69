#include "api/service.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace lb::api {
namespace {

int64_t NowUnix() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch()).count();
}

AnswerOptions AnswerOptionsOf(const GenerationOptions& options) {
  AnswerOptions answer;
  answer.stop = options.stop;
  answer.with_logprobs = options.with_logprobs;
  answer.discard_tokens = options.max_tokens == 0;
  return answer;
}

}  // namespace

Service::Service(Parts parts) : parts_(std::move(parts)) {
  if (parts_.chat_template != nullptr) habits_ = HabitsOf(*parts_.chat_template);
  for (TokenId id = 0; id < parts_.tokenizer->num_tokens(); ++id) {
    max_token_bytes_ = std::max(max_token_bytes_, parts_.tokenizer->TokenText(id).size());
  }
}

// A body of 60 MB would keep a worker busy for a minute, only to be refused: no token stands for
// more bytes than the longest one has, so the count of bytes can settle it.
Result<void> Service::CheckBytes(size_t bytes, std::string_view field) const {
  // WordPiece and Unigram may drop or replace text; there the bound does not hold.
  if (parts_.tokenizer->model() != "gpt2" && parts_.tokenizer->model() != "llama") return {};
  const size_t least = bytes / max_token_bytes_;
  const auto limit = static_cast<size_t>(limits().max_request_tokens);
  if (least < limit) return {};
  return Error{ErrorCode::kTooLong,
               fmt::format("the prompt of {} bytes has at least {} tokens; the limit for one request "
                           "is {} tokens (--ctx-size)", bytes, least, limit),
               std::string(field)};
}

Result<std::vector<TokenId>> Service::RenderChat(const ChatRequest& request) const {
  if (parts_.chat_template == nullptr) {
    return Error{ErrorCode::kUnsupported, "this model has no chat template; use /v1/completions", {}};
  }
  size_t bytes = 0;
  for (const ChatMessage& message : request.messages) bytes += message.content.size();
  LB_RETURN_IF_ERROR(CheckBytes(bytes, "messages"));
  auto prompt = parts_.chat_template->Render(MakeChatInput(request, habits_, NowUnix()));
  if (!prompt.has_value()) {
    Error error = prompt.error();
    if (error.param.empty()) error.param = "messages";
    return error;
  }
  const auto spans = prompt->views();
  std::vector<TokenId> ids = parts_.tokenizer->Encode(spans, true);
  if (ids.empty()) return BadField("messages", "messages: the chat template made an empty prompt");
  return ids;
}

Result<std::unique_ptr<Generation>> Service::Chat(std::string_view body,
                                                  const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(const ChatRequest request,
                      ParseChatRequest(object, parts_.defaults, *parts_.tokenizer));
  LB_ASSIGN_OR_RETURN(std::vector<TokenId> ids, RenderChat(request));
  std::vector<std::vector<TokenId>> prompts;
  prompts.push_back(std::move(ids));
  return Start(request.options, caller, std::move(prompts),
               MakeChatWriter(*parts_.tokenizer, request.options.with_logprobs), "messages");
}

Result<Service::Prompts> Service::EncodePrompts(const CompletionRequest& request) const {
  const text::Tokenizer& tokenizer = *parts_.tokenizer;
  const text::SpecialTokens& special = tokenizer.special();
  const bool fill_in = !request.suffix.empty();
  if (fill_in && (special.fim_prefix < 0 || special.fim_suffix < 0 || special.fim_middle < 0)) {
    return Error{ErrorCode::kUnsupported,
                 "suffix: this model has no tokens for filling in the middle", "suffix"};
  }
  Prompts prompts;
  for (const MixedPrompt& mixed : request.prompts) {
    std::vector<TokenId> ids;
    std::string shown;
    bool first = !fill_in;
    size_t bytes = 0;
    if (fill_in) ids.push_back(special.fim_prefix);
    for (const PromptPart& part : mixed) {
      if (const auto* given = std::get_if<std::vector<TokenId>>(&part)) {
        ids.insert(ids.end(), given->begin(), given->end());
        if (request.echo) shown += tokenizer.Decode(*given, true);
      } else {
        const std::string& words = std::get<std::string>(part);
        bytes += words.size();
        LB_RETURN_IF_ERROR(CheckBytes(bytes, "prompt"));
        // The beginning and end marks belong to a text that is a whole prompt.
        const auto encoded = tokenizer.Encode(words, first, true);
        ids.insert(ids.end(), encoded.begin(), encoded.end());
        if (request.echo) shown += words;
      }
      first = false;
    }
    if (fill_in) {
      LB_RETURN_IF_ERROR(CheckBytes(request.suffix.size(), "suffix"));
      ids.push_back(special.fim_suffix);
      const auto encoded = tokenizer.Encode(request.suffix, false, false);
      ids.insert(ids.end(), encoded.begin(), encoded.end());
      ids.push_back(special.fim_middle);
    }
    // "" is a prompt too: the model's own beginning.
    if (ids.empty() && special.bos >= 0) ids.push_back(special.bos);
    if (ids.empty() && special.eos >= 0) ids.push_back(special.eos);
    if (ids.empty()) return BadField("prompt", "prompt is empty and the model has no begin token");
    prompts.ids.push_back(std::move(ids));
    if (request.echo) prompts.echo.push_back(std::move(shown));
  }
  return prompts;
}

Result<std::unique_ptr<Generation>> Service::Completion(std::string_view body,
                                                        const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(const CompletionRequest request,
                      ParseCompletionRequest(object, parts_.defaults, *parts_.tokenizer));
  LB_ASSIGN_OR_RETURN(Prompts prompts, EncodePrompts(request));
  return Start(request.options, caller, std::move(prompts.ids),
               MakeCompletionWriter(*parts_.tokenizer, request.options.with_logprobs,
                                    std::move(prompts.echo), request.options.n),
               "prompt");
}

Request Service::MakeRequest(const GenerationOptions& options, const Caller& caller,
                             std::vector<TokenId> prompt) const {
  Request request;
  request.id = caller.request_id;
  request.prompt = std::move(prompt);
  request.sampling = options.sampling;
  // Nothing to answer still computes the prompt, so that the cache holds it afterwards.
  request.max_tokens = options.max_tokens == 0 ? 1 : options.max_tokens;
  request.stop_ids = parts_.tokenizer->special().end_of_generation;
  request.ignore_eos = options.ignore_eos;
  request.cache_prompt = options.cache_prompt;
  request.context_shift = options.context_shift;
  request.keep = options.keep;
  request.client = caller.client;
  return request;
}

Result<Service::Order> Service::PrepareChat(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(const ChatRequest request,
                      ParseChatRequest(object, parts_.defaults, *parts_.tokenizer));
  LB_ASSIGN_OR_RETURN(std::vector<TokenId> ids, RenderChat(request));
  return Order{MakeRequest(request.options, caller, std::move(ids)),
               AnswerOptionsOf(request.options)};
}

Result<std::unique_ptr<Generation>> Service::Start(const GenerationOptions& options,
                                                   const Caller& caller,
                                                   std::vector<std::vector<TokenId>> prompts,
                                                   std::unique_ptr<ReplyWriter> writer,
                                                   std::string_view prompt_field) const {
  GenerationSetup setup;
  setup.model = options.model.empty() ? parts_.card.alias : options.model;
  setup.stream = options.stream;
  setup.include_usage = options.include_usage;
  setup.answers_per_prompt = options.n;
  setup.answer = AnswerOptionsOf(options);
  setup.writer = std::move(writer);
  for (const std::vector<TokenId>& prompt : prompts) {
    for (int i = 0; i < options.n; ++i) {
      Request request = MakeRequest(options, caller, prompt);
      if (prompts.size() * static_cast<size_t>(options.n) > 1) {
        request.id += fmt::format("#{}", setup.streams.size());
      }
      request.sampling.seed += static_cast<uint64_t>(i);
      auto stream = parts_.engine->Submit(std::move(request));
      if (!stream.has_value()) {
        Error error = stream.error();
        if (error.param.empty() && error.code == ErrorCode::kTooLong) error.param = prompt_field;
        return error;
      }
      setup.streams.push_back(std::move(stream).value());
    }
  }
  return std::make_unique<Generation>(std::move(setup), *parts_.tokenizer);
}

}  // namespace lb::api

// Service: from requests to token ids.
#include <algorithm>
#include <utility>

#include "api/json_writer.h"
#include "api/service.h"
#include "base/printable.h"

namespace lb::api {
namespace {

void Append(const std::vector<TokenId>& more, std::vector<TokenId>* ids) {
  ids->insert(ids->end(), more.begin(), more.end());
}

// Goes on with the last message. What belongs to a thought that the prompt has opened comes first.
void Continue(const ChatMessage& last, const ReasoningFormat& format, std::string* opened,
              text::RenderedPrompt* prompt) {
  if (!opened->empty() || format.kind != ReasoningFormat::Kind::kChannels) {
    if (!opened->empty() && !last.reasoning.empty()) {
      prompt->spans.push_back({last.reasoning, false});
    }
    if (last.content.empty()) return;
    if (!opened->empty()) prompt->spans.push_back({format.forced, true});
    *opened = "";
  } else if (!last.content.empty()) {
    *opened = "<|channel|>final<|message|>";
    prompt->spans.push_back({*opened, true});
  }
  if (!last.content.empty()) prompt->spans.push_back({last.content, false});
}

}  // namespace

// A body of 60 MB would keep a worker busy for a minute, only to be refused: no token stands for
// more bytes than the longest one has, so the count of bytes can settle it.
Result<void> Service::CheckBytes(size_t bytes, std::string_view field) const {
  // WordPiece and Unigram may drop or replace text; there the bound does not hold.
  if (parts_.tokenizer->model() != "gpt2" && parts_.tokenizer->model() != "llama") return {};
  const size_t least = bytes / max_token_bytes_;
  const auto limit = static_cast<size_t>(limits().max_request_tokens);
  if (least < limit) return {};
  Error error{ErrorCode::kTooLong,
              fmt::format("the prompt of {} bytes has at least {} tokens, which exceeds the "
                          "available context size: the limit for one request is {} tokens "
                          "(--ctx-size)",
                          bytes, least, limit),
              std::string(field)};
  error.prompt_tokens = static_cast<int64_t>(least);
  error.context_tokens = limits().max_request_tokens;
  return error;
}

Result<Service::ChatPrompt> Service::RenderChat(const ChatRequest& request) const {
  if (!limits().generates) {
    return Error{ErrorCode::kUnsupported,
                 "this model makes vectors of texts and does not chat: use /v1/embeddings or "
                 "/v1/rerank",
                 {}};
  }
  if (parts_.chat_template == nullptr) {
    return Error{
        ErrorCode::kUnsupported, "this model has no chat template; use /v1/completions", {}};
  }
  size_t bytes = 0;
  for (const ChatMessage& message : request.messages) bytes += message.content.size();
  LB_RETURN_IF_ERROR(CheckBytes(bytes, "messages"));
  auto prompt = parts_.chat_template->Render(MakeChatInput(request, habits_, NowUnix()));
  if (!prompt.has_value()) {
    Error error = prompt.error();
    // A template may put a message's own text into its complaint.
    error.message = Printable(error.message, 500);
    if (error.param.empty()) error.param = "messages";
    return error;
  }
  ChatPrompt out;
  out.opened = OpenedByPrompt(reasoning_, prompt->Text());
  if (request.continue_final_message) {
    Continue(request.messages.back(), reasoning_, &out.opened, &*prompt);
  } else if (request.thinking_budget == 0 && reasoning_.kind == ReasoningFormat::Kind::kTags &&
             !out.opened.empty()) {
    // The template opens a thought that is not wanted: it ends here.
    prompt->spans.push_back({reasoning_.close + "\n\n", true});
    out.opened = "";
  }
  out.text = prompt->Text();
  const auto spans = prompt->views();
  out.ids = parts_.tokenizer->Encode(spans, true);
  if (out.ids.empty()) {
    return BadField("messages", "messages: the chat template made an empty prompt");
  }
  return out;
}

Result<std::string> Service::ApplyTemplate(std::string_view body) const {
  LB_ASSIGN_OR_RETURN(const ChatRequest request, ParseChat(body));
  LB_ASSIGN_OR_RETURN(const ChatPrompt prompt, RenderChat(request));
  JsonWriter w;
  return w.BeginObject().Key("prompt").String(prompt.text).EndObject().Take();
}

Result<std::string> Service::CountChatTokens(std::string_view body) const {
  LB_ASSIGN_OR_RETURN(const ChatRequest request, ParseChat(body));
  return CountTokens(request);
}

Result<std::string> Service::CountTokens(const ChatRequest& request) const {
  LB_ASSIGN_OR_RETURN(const ChatPrompt prompt, RenderChat(request));
  JsonWriter w;
  w.BeginObject().Key("object").String("response.input_tokens");
  w.Key("input_tokens").Int(static_cast<int64_t>(prompt.ids.size()));
  return w.EndObject().Take();
}

// `begins`: the prompt is a whole text, which the model's own marks may go around. `shown`, if not
// null, gets its text.
Result<std::vector<TokenId>> Service::EncodeMixed(const MixedPrompt& prompt, bool parse_special,
                                                  bool begins, std::string* shown) const {
  const text::Tokenizer& tokenizer = *parts_.tokenizer;
  std::vector<TokenId> ids;
  size_t bytes = 0;
  bool first = begins;
  for (const PromptPart& part : prompt) {
    if (const auto* given = std::get_if<std::vector<TokenId>>(&part)) {
      Append(*given, &ids);
      if (shown != nullptr) *shown += tokenizer.Decode(*given, true);
    } else {
      const std::string& words = std::get<std::string>(part);
      bytes += words.size();
      LB_RETURN_IF_ERROR(CheckBytes(bytes, "prompt"));
      Append(tokenizer.Encode(words, first, parse_special), &ids);
      if (shown != nullptr) *shown += words;
    }
    first = false;
  }
  if (!begins) return ids;
  // "" is a prompt too: the model's own beginning.
  const text::SpecialTokens& special = tokenizer.special();
  if (ids.empty() && special.bos >= 0) ids.push_back(special.bos);
  if (ids.empty() && special.eos >= 0) ids.push_back(special.eos);
  if (ids.empty()) return BadField("prompt", "prompt is empty and the model has no begin token");
  return ids;
}

Result<Service::Prompts> Service::EncodePrompts(const CompletionRequest& request) const {
  const text::Tokenizer& tokenizer = *parts_.tokenizer;
  const text::SpecialTokens& special = tokenizer.special();
  const bool fill_in = !request.suffix.empty();
  if (fill_in && !special.can_fill_in()) {
    return Error{ErrorCode::kUnsupported,
                 "suffix: this model has no tokens for filling in the middle", "suffix"};
  }
  Prompts prompts;
  for (const MixedPrompt& mixed : request.prompt.prompts) {
    std::string shown;
    LB_ASSIGN_OR_RETURN(std::vector<TokenId> ids,
                        EncodeMixed(mixed, request.prompt.parse_special, !fill_in,
                                    request.echo ? &shown : nullptr));
    if (fill_in) {
      LB_RETURN_IF_ERROR(CheckBytes(request.suffix.size(), "suffix"));
      ids.insert(ids.begin(), special.fim_prefix);
      if (special.add_bos) ids.insert(ids.begin(), special.bos);
      ids.push_back(special.fim_suffix);
      Append(tokenizer.Encode(request.suffix, false, false), &ids);
      ids.push_back(special.fim_middle);
    }
    prompts.ids.push_back(std::move(ids));
    if (request.echo) prompts.echo.push_back(std::move(shown));
  }
  return prompts;
}

// Other files first, as the model was trained to see them: after its mark for a repository where it
// has one. The oldest of them give way when all together would not fit.
Result<std::vector<TokenId>> Service::EncodeInfill(const InfillRequest& request) const {
  const text::Tokenizer& tokenizer = *parts_.tokenizer;
  const text::SpecialTokens& special = tokenizer.special();
  if (!special.can_fill_in()) {
    return Error{ErrorCode::kUnsupported, "this model has no tokens for filling in the middle", {}};
  }
  LB_RETURN_IF_ERROR(CheckBytes(request.prefix.size() + request.suffix.size(), "input_prefix"));
  std::vector<TokenId> ids;
  const bool repository = special.fim_repo >= 0 && special.fim_separator >= 0;
  if (repository) {
    ids.push_back(special.fim_separator);
    Append(tokenizer.Encode("filename\n", false, false), &ids);
  }
  ids.push_back(special.fim_prefix);
  Append(tokenizer.Encode(request.prefix, false, false), &ids);
  ids.push_back(special.fim_suffix);
  Append(tokenizer.Encode(request.suffix, false, false), &ids);
  ids.push_back(special.fim_middle);
  for (const MixedPrompt& begun : request.prompt.prompts) {
    LB_ASSIGN_OR_RETURN(const auto words,
                        EncodeMixed(begun, request.prompt.parse_special, false, nullptr));
    Append(words, &ids);
  }

  std::vector<TokenId> extra;
  if (repository) {
    extra.push_back(special.fim_repo);
    Append(tokenizer.Encode("myproject\n", false, false), &extra);
  }
  for (const InfillRequest::File& file : request.extra) {
    LB_RETURN_IF_ERROR(CheckBytes(file.text.size(), "input_extra"));
    if (repository) {
      extra.push_back(special.fim_separator);
      Append(tokenizer.Encode(file.name + "\n", false, false), &extra);
    }
    Append(tokenizer.Encode(file.text, false, false), &extra);
  }
  const int64_t answer = request.options.max_tokens < 0 ? 1 : request.options.max_tokens;
  const int64_t room = limits().max_request_tokens - static_cast<int64_t>(ids.size()) - answer - 1;
  const auto keep =
      static_cast<size_t>(std::clamp<int64_t>(room, 0, static_cast<int64_t>(extra.size())));
  std::vector<TokenId> all;
  if (special.add_bos) all.push_back(special.bos);
  all.insert(all.end(), extra.end() - static_cast<std::ptrdiff_t>(keep), extra.end());
  Append(ids, &all);
  return all;
}

}  // namespace lb::api

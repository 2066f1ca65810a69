#include "api/service.h"

#include <algorithm>
#include <utility>

#include "api/generation_settings.h"
#include "api/grammar_guide.h"
#include "api/reasoning/budget.h"
#include "api/tools/call_grammar.h"
#include "base/check.h"

namespace lb::api {

Service::Service(Parts parts)
    : parts_(std::move(parts)),
      kv_feed_(std::make_shared<KvFeed>(parts_.engine)),
      compiler_(std::make_unique<grammar::Compiler>(*parts_.tokenizer)) {
  if (parts_.chat_template != nullptr) {
    reasoning_ = FindReasoningFormat(parts_.chat_template->source(), *parts_.tokenizer);
    const std::string& format = parts_.defaults.tool_format;
    tool_format_ =
        format.empty() ? &FindToolFormat(*parts_.chat_template) : ToolFormatByName(format);
    CHECK(tool_format_ != nullptr);  // the name was checked as a flag
    habits_ = HabitsOf(*parts_.chat_template, *tool_format_);
    tool_marks_ = ShownTokens(*tool_format_, *parts_.tokenizer);
    if (!tool_marks_.empty()) {
      call_compiler_ = std::make_unique<grammar::Compiler>(*parts_.tokenizer, tool_marks_);
    }
  }
  for (TokenId id = 0; id < parts_.tokenizer->num_tokens(); ++id) {
    max_token_bytes_ = std::max(max_token_bytes_, parts_.tokenizer->TokenText(id).size());
  }
}

AnswerOptions Service::AnswerOptionsOf(const GenerationOptions& options) const {
  AnswerOptions answer;
  answer.stop = options.stop;
  answer.discard_tokens = options.max_tokens == 0;
  answer.show_control = options.show_control;
  answer.max_predict_ms = options.max_predict_ms;
  return answer;
}

OpenAiReply Service::OpenAiReplyOf(const GenerationOptions& options) const {
  OpenAiReply reply;
  reply.model = options.model.empty() ? parts_.card.alias : options.model;
  reply.fingerprint = "box-" + parts_.card.version;
  reply.answers_per_prompt = options.n;
  reply.kept_per_prompt = options.n;
  reply.with_logprobs = options.with_logprobs;
  reply.include_usage = options.include_usage;
  reply.timings_per_token = options.timings_per_token;
  return reply;
}

NativeReply Service::NativeReplyOf(const GenerationOptions& options, const NativeOptions& native,
                                   const std::vector<std::vector<TokenId>>& prompts) const {
  NativeReply reply;
  reply.model = options.model.empty() ? parts_.card.alias : options.model;
  JsonWriter settings;
  WriteGenerationSettings(options, native.n_probs, *parts_.tokenizer, &settings);
  reply.settings = settings.Take();
  for (const auto& ids : prompts) reply.prompts.push_back(parts_.tokenizer->Decode(ids, true));
  reply.answers_per_prompt = options.n;
  reply.n_probs = native.n_probs;
  reply.after_sampling = options.sampling.logprobs_after_sampling;
  reply.return_tokens = native.return_tokens;
  reply.timings_per_token = options.timings_per_token;
  reply.max_tokens = options.max_tokens;
  reply.fields = native.response_fields;
  return reply;
}

Result<ChatRequest> Service::ParseChat(std::string_view body) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  return ParseChatRequest(object, parts_.defaults, *parts_.tokenizer);
}

Result<Service::Plan> Service::PlanOf(const ChatRequest& request, const ChatPrompt& prompt) const {
  Plan plan;
  plan.prompt_field = "messages";
  plan.answer = AnswerOptionsOf(request.options);
  plan.answer.shown = reasoning_.shown;
  plan.answer.opened = prompt.opened;
  if (request.reasoning != ReasoningMode::kNone) plan.answer.reasoning = reasoning_;
  plan.thinking_budget = request.thinking_budget;
  plan.thinks = true;
  if (request.reasoning == ReasoningMode::kDeepSeek &&
      reasoning_.kind == ReasoningFormat::Kind::kNone) {
    plan.answer.reasoning = DefaultReasoningFormat(*parts_.tokenizer);
    plan.answer.shown = plan.answer.reasoning.shown;
    plan.answer.opened = OpenedByPrompt(plan.answer.reasoning, prompt.text);
  }
  if (!request.tools.set.empty() && request.parse_tool_calls) {
    plan.answer.tools.format = tool_format_;
    plan.answer.tools.tools = std::make_shared<const ToolSet>(request.tools.set);
    plan.answer.tools.ids = habits_.nine_letter_ids ? CallIds::kNineLetters : CallIds::kCall;
    plan.answer.tools.max_calls = request.tools.parallel ? 0 : 1;
    plan.answer.tools.marked_only = !request.tools.must_call;
    plan.answer.shown.insert(plan.answer.shown.end(), tool_marks_.begin(), tool_marks_.end());
  }
  if (!request.tools.set.empty()) {
    CallGrammarOptions bound;
    bound.answer = request.options.constraint;
    bound.channels = reasoning_.kind == ReasoningFormat::Kind::kChannels;
    bound.thinks = request.thinking_budget != 0;
    LB_ASSIGN_OR_RETURN(plan.calls, CallGrammar(*tool_format_, request.tools, bound));
    plan.answer.tools.marked_only &= plan.calls.kind != grammar::Constraint::Kind::kNone;
    plan.whole = bound.channels;
  }
  return plan;
}

Service::Reply Service::Chat(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const ChatRequest request, ParseChat(body));
  LB_ASSIGN_OR_RETURN(ChatPrompt prompt, RenderChat(request));
  LB_ASSIGN_OR_RETURN(Plan plan, PlanOf(request, prompt));
  OpenAiReply reply = OpenAiReplyOf(request.options);
  if (request.options.verbose) {
    JsonWriter w;
    w.BeginObject().Key("prompt").String(prompt.text).Key("generation_settings");
    WriteGenerationSettings(request.options, std::max(0, request.options.sampling.num_logprobs),
                            *parts_.tokenizer, &w);
    reply.verbose = w.EndObject().Take();
  }
  return Start(request.options, caller, {std::move(prompt.ids)}, std::move(plan),
               MakeChatWriter(*parts_.tokenizer, std::move(reply)));
}

Service::Reply Service::AnswerChat(const ChatRequest& request, const Caller& caller,
                                   std::unique_ptr<ReplyWriter> writer) const {
  LB_ASSIGN_OR_RETURN(ChatPrompt prompt, RenderChat(request));
  LB_ASSIGN_OR_RETURN(Plan plan, PlanOf(request, prompt));
  return Start(request.options, caller, {std::move(prompt.ids)}, std::move(plan),
               std::move(writer));
}

Service::Reply Service::Completion(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(CompletionRequest request,
                      ParseCompletionRequest(object, parts_.defaults, *parts_.tokenizer));
  LB_ASSIGN_OR_RETURN(Prompts prompts, EncodePrompts(request));
  OpenAiReply reply = OpenAiReplyOf(request.options);
  request.options.n = reply.answers_per_prompt = request.best_of;
  return Start(request.options, caller, prompts.ids,
               {AnswerOptionsOf(request.options), -1, "prompt", false},
               MakeCompletionWriter(*parts_.tokenizer, std::move(reply), std::move(prompts.echo)));
}

Service::Reply Service::NativeCompletion(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(const NativeRequest request,
                      ParseNativeRequest(object, parts_.defaults, *parts_.tokenizer));
  std::vector<std::vector<TokenId>> prompts;
  for (const MixedPrompt& mixed : request.prompt.prompts) {
    LB_ASSIGN_OR_RETURN(std::vector<TokenId> ids,
                        EncodeMixed(mixed, request.prompt.parse_special, true, nullptr));
    prompts.push_back(std::move(ids));
  }
  return Start(
      request.options, caller, prompts, {AnswerOptionsOf(request.options), -1, "prompt", false},
      MakeNativeWriter(*parts_.tokenizer, NativeReplyOf(request.options, request.native, prompts)));
}

Service::Reply Service::Infill(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(const InfillRequest request,
                      ParseInfillRequest(object, parts_.defaults, *parts_.tokenizer));
  LB_ASSIGN_OR_RETURN(std::vector<TokenId> ids, EncodeInfill(request));
  const std::vector<std::vector<TokenId>> prompts = {std::move(ids)};
  return Start(
      request.options, caller, prompts,
      {AnswerOptionsOf(request.options), -1, "input_prefix", false},
      MakeNativeWriter(*parts_.tokenizer, NativeReplyOf(request.options, request.native, prompts)));
}

Result<Service::Order> Service::PrepareChat(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const ChatRequest request, ParseChat(body));
  LB_ASSIGN_OR_RETURN(ChatPrompt prompt, RenderChat(request));
  LB_ASSIGN_OR_RETURN(Plan plan, PlanOf(request, prompt));
  LB_ASSIGN_OR_RETURN(const auto grammar, CompileConstraint(request.options, plan));
  Order order{MakeRequest(request.options, caller, std::move(prompt.ids)), {}};
  order.request.guide = MakeGuide(plan, grammar);
  if (grammar != nullptr) order.request.ignore_eos = false;
  order.answer = std::move(plan.answer);
  return order;
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
  request.report_progress = options.stream && options.return_progress;
  request.client = caller.client;
  request.adapters = options.adapters;
  return request;
}

Result<std::shared_ptr<const grammar::CompiledGrammar>> Service::CompileConstraint(
    const GenerationOptions& options, const Plan& plan) const {
  if (plan.calls.kind != grammar::Constraint::Kind::kNone) {
    return (call_compiler_ != nullptr ? call_compiler_ : compiler_)->Compile(plan.calls);
  }
  if (options.constraint.kind == grammar::Constraint::Kind::kNone) {
    return std::shared_ptr<const grammar::CompiledGrammar>();
  }
  return compiler_->Compile(options.constraint);
}

std::shared_ptr<TokenGuide> Service::MakeGuide(
    const Plan& plan, const std::shared_ptr<const grammar::CompiledGrammar>& grammar) const {
  // Where thoughts are content they end all the same.
  const ReasoningFormat& format = plan.answer.reasoning.kind == ReasoningFormat::Kind::kNone
                                      ? reasoning_
                                      : plan.answer.reasoning;
  const bool bound = plan.whole && plan.calls.kind != grammar::Constraint::Kind::kNone;
  const bool thinks = plan.thinks && !bound && format.kind != ReasoningFormat::Kind::kNone;
  if (grammar != nullptr && thinks) {
    return std::make_shared<GrammarGuide>(*parts_.tokenizer, grammar, format, plan.answer.opened,
                                          plan.thinking_budget);
  }
  if (grammar != nullptr) return std::make_shared<GrammarGuide>(*parts_.tokenizer, grammar);
  if (thinks && plan.thinking_budget >= 0) {
    return std::make_shared<ThinkingBudget>(*parts_.tokenizer, format, plan.answer.opened,
                                            plan.thinking_budget);
  }
  return nullptr;
}

Service::Reply Service::Start(const GenerationOptions& options, const Caller& caller,
                              const std::vector<std::vector<TokenId>>& prompts, Plan plan,
                              std::unique_ptr<ReplyWriter> writer) const {
  GenerationSetup setup;
  setup.stream = options.stream;
  setup.progress = options.return_progress;
  setup.writer = std::move(writer);
  LB_ASSIGN_OR_RETURN(const auto grammar, CompileConstraint(options, plan));
  for (const std::vector<TokenId>& prompt : prompts) {
    for (int i = 0; i < options.n; ++i) {
      Request request = MakeRequest(options, caller, prompt);
      if (prompts.size() * static_cast<size_t>(options.n) > 1) {
        request.id += fmt::format("#{}", setup.streams.size());
      }
      request.sampling.seed += static_cast<uint64_t>(i);
      request.guide = MakeGuide(plan, grammar);
      // What is complete has nothing else to follow it.
      if (grammar != nullptr) request.ignore_eos = false;
      auto stream = parts_.engine->Submit(std::move(request));
      if (!stream.has_value()) {
        Error error = stream.error();
        if (error.param.empty() && error.code == ErrorCode::kTooLong) {
          error.param = plan.prompt_field;
        }
        return error;
      }
      setup.streams.push_back(std::move(stream).value());
    }
  }
  setup.answer = std::move(plan.answer);
  return std::make_unique<Generation>(std::move(setup), *parts_.tokenizer);
}

}  // namespace lb::api

// The endpoints, without sockets: bodies in, bodies or a Generation out.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/chat_input.h"
#include "api/chat_request.h"
#include "api/completion_request.h"
#include "api/generation.h"
#include "api/json_writer.h"
#include "api/kv_events.h"
#include "api/native_request.h"
#include "engine/engine_client.h"
#include "grammar/compiler.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lb::api {

// Facts of the model for /v1/models and /props.
struct ModelCard {
  std::string alias;  // the public name
  std::string path;
  std::string arch;
  std::string name;  // general.name
  int64_t created_unix = 0;
  int64_t trained_context = 0;
  int64_t width = 0;
  int64_t num_parameters = 0;
  int64_t size_bytes = 0;
  std::string version;        // of this program
  std::string quantization;   // "Q4_K_M"; "unknown" when the file does not say
  int64_t modified_unix = 0;  // the file
};

// What is known of a model in /v1/models before it is loaded, into an open object.
void WriteUnloadedModel(const ModelCard& card, JsonWriter* w);

struct OllamaRequest;
enum class EmbeddingForm;

// Who asks.
struct Caller {
  std::string request_id;
  std::string client;  // fairness is between clients
};

// Thread-safe. What takes a body takes time in proportion to it: those calls are for worker
// threads. The others are for any thread.
class Service {
 public:
  struct Parts {
    std::shared_ptr<const text::Tokenizer> tokenizer;
    std::shared_ptr<const text::ChatTemplate> chat_template;  // null: the model cannot chat
    EngineClient* engine = nullptr;                           // must outlive the service
    ModelCard card;
    GenerationDefaults defaults;
  };
  explicit Service(Parts parts);

  using Reply = Result<std::unique_ptr<Generation>>;

  Reply Chat(std::string_view body, const Caller& caller) const;
  Reply Completion(std::string_view body, const Caller& caller) const;
  // llama.cpp's own /completion and /infill.
  Reply NativeCompletion(std::string_view body, const Caller& caller) const;
  Reply Infill(std::string_view body, const Caller& caller) const;
  Reply Responses(std::string_view body, const Caller& caller) const;
  Result<std::string> CountResponsesTokens(std::string_view body) const;
  // Anthropic's.
  Reply Messages(std::string_view body, const Caller& caller) const;
  Result<std::string> CountMessagesTokens(std::string_view body) const;
  // Ollama's.
  Reply OllamaChat(std::string_view body, const Caller& caller) const;
  Reply OllamaGenerate(std::string_view body, const Caller& caller) const;
  Result<std::string> OllamaShow(std::string_view body) const;
  // This model's entry in /api/ps, into an open object.
  void WriteOllamaPs(JsonWriter* w) const;
  std::string OllamaVersion() const;
  // OpenAI's embeddings, llama.cpp's own form of them, and Jina's rerank.
  using Pending = Result<std::unique_ptr<PendingReply>>;
  Pending OpenAiEmbeddings(std::string_view body, const Caller& caller) const;
  Pending NativeEmbeddings(std::string_view body, const Caller& caller) const;
  Pending Rerank(std::string_view body, const Caller& caller) const;
  Pending OllamaEmbed(std::string_view body, const Caller& caller) const;
  Pending OllamaEmbeddings(std::string_view body, const Caller& caller) const;
  // {content: text, or a list of texts and ids; add_special; parse_special; with_pieces}
  Result<std::string> Tokenize(std::string_view body) const;
  // {tokens: ids}
  Result<std::string> Detokenize(std::string_view body) const;
  // A chat request's prompt as text, and how many tokens it has.
  Result<std::string> ApplyTemplate(std::string_view body) const;
  Result<std::string> CountChatTokens(std::string_view body) const;

  // A chat request as one order to the engine, for who reads the tokens himself (the command line).
  // n does not matter.
  struct Order {
    Request request;
    AnswerOptions answer;
  };
  Result<Order> PrepareChat(std::string_view body, const Caller& caller) const;

  // GET and POST /lora-adapters.
  std::string ListAdapters() const;
  Result<std::string> SetAdapters(std::string_view body) const;

  // GET /kv. Waits for the end of the engine's step, so for a worker thread too.
  Result<std::string> Kv() const;
  // GET /kv/events; for any thread.
  Pending KvEventStream(std::string_view query) const;

  // This model's entry in /v1/models, into an open object.
  void WriteModel(JsonWriter* w) const;
  // `sleeping`: as it is told of a model that is not in memory any more.
  std::string Props(bool sleeping = false) const;
  // As many as sequences run together; which one is busy has no meaning.
  std::string Slots() const;
  EngineStats Stats() const { return parts_.engine->Stats(); }
  const EngineLimits& limits() const { return parts_.engine->limits(); }
  const ModelCard& card() const { return parts_.card; }

 private:
  struct Prompts {
    std::vector<std::vector<TokenId>> ids;
    std::vector<std::string> echo;  // empty: none
  };
  struct ChatPrompt {
    std::string text;
    std::vector<TokenId> ids;
    std::string opened;  // of the answer's thought; see OpenedByPrompt
  };
  // What Start needs beside the options.
  struct Plan {
    AnswerOptions answer;
    int64_t thinking_budget = -1;
    std::string_view prompt_field;   // for errors
    bool thinks = false;             // the answer may begin with a thought, which no grammar binds
    grammar::Constraint calls = {};  // of tool calls, with what the options bind
    bool whole = false;              // that one speaks of thoughts, too
  };
  Reply Start(const GenerationOptions& options, const Caller& caller,
              const std::vector<std::vector<TokenId>>& prompts, Plan plan,
              std::unique_ptr<ReplyWriter> writer) const;
  // A chat request, told by `writer`.
  Reply AnswerChat(const ChatRequest& request, const Caller& caller,
                   std::unique_ptr<ReplyWriter> writer) const;
  Reply AnswerOllama(OllamaRequest request, bool chat, const Caller& caller) const;
  OpenAiReply OpenAiReplyOf(const GenerationOptions& options) const;
  NativeReply NativeReplyOf(const GenerationOptions& options, const NativeOptions& native,
                            const std::vector<std::vector<TokenId>>& prompts) const;
  AnswerOptions AnswerOptionsOf(const GenerationOptions& options) const;
  Result<Plan> PlanOf(const ChatRequest& request, const ChatPrompt& prompt) const;
  // Null when nothing is bound.
  Result<std::shared_ptr<const grammar::CompiledGrammar>> CompileConstraint(
      const GenerationOptions& options, const Plan& plan) const;
  // For one answer; null when nothing has to be followed.
  std::shared_ptr<TokenGuide> MakeGuide(
      const Plan& plan, const std::shared_ptr<const grammar::CompiledGrammar>& grammar) const;

  Result<ChatRequest> ParseChat(std::string_view body) const;
  Result<ChatPrompt> RenderChat(const ChatRequest& request) const;
  Result<std::string> CountTokens(const ChatRequest& request) const;
  Request MakeRequest(const GenerationOptions& options, const Caller& caller,
                      std::vector<TokenId> prompt) const;
  Result<std::vector<TokenId>> EncodeMixed(const MixedPrompt& prompt, bool parse_special,
                                           bool begins, std::string* shown) const;
  Result<Prompts> EncodePrompts(const CompletionRequest& request) const;
  Result<std::vector<TokenId>> EncodeInfill(const InfillRequest& request) const;
  Pending Embed(const boost::json::object& object, const Caller& caller, EmbeddingForm form) const;
  // With the marks that the model wants around a text; never empty.
  std::vector<TokenId> EncodeWhole(const MixedPrompt& prompt) const;
  Request MakeVectorRequest(const Caller& caller, size_t index, std::vector<TokenId> ids) const;
  Result<void> CheckBytes(size_t bytes, std::string_view field) const;

  Parts parts_;
  std::shared_ptr<KvFeed> kv_feed_;
  std::unique_ptr<grammar::Compiler> compiler_;
  std::unique_ptr<grammar::Compiler> call_compiler_;  // null: no mark is a control token
  TemplateHabits habits_;
  ReasoningFormat reasoning_;  // of the template
  const ToolFormat* tool_format_ = nullptr;
  std::vector<TokenId> tool_marks_;  // of that format, as far as they are control tokens
  size_t max_token_bytes_ = 1;
};

}  // namespace lb::api

// The endpoints, without sockets: bodies in, bodies or a Generation out.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/chat_input.h"
#include "api/chat_request.h"
#include "api/completion_request.h"
#include "api/generation.h"
#include "engine/engine_client.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lb::api {

// Facts of the model for /v1/models and /props.
struct ModelCard {
  std::string alias;  // the public name
  std::string path;
  std::string arch;
  std::string name;   // general.name
  int64_t created_unix = 0;
  int64_t trained_context = 0;
  int64_t width = 0;
  int64_t num_parameters = 0;
  int64_t size_bytes = 0;
  std::string version;  // of this program
};

// Who asks.
struct Caller {
  std::string request_id;
  std::string client;  // fairness is between clients
};

// Thread-safe. Chat, Completion, Tokenize and Detokenize take time in proportion to the body: they
// are for worker threads. The others are for any thread.
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

  Result<std::unique_ptr<Generation>> Chat(std::string_view body, const Caller& caller) const;
  Result<std::unique_ptr<Generation>> Completion(std::string_view body, const Caller& caller) const;
  // {content: text, or a list of texts and ids; add_special; parse_special; with_pieces}
  Result<std::string> Tokenize(std::string_view body) const;
  // {tokens: ids}
  Result<std::string> Detokenize(std::string_view body) const;

  // A chat request as one order to the engine, for who reads the tokens himself (the command line).
  // n and stream do not matter.
  struct Order {
    Request request;
    AnswerOptions answer;
  };
  Result<Order> PrepareChat(std::string_view body, const Caller& caller) const;

  // GET /kv. Waits for the end of the engine's step, so for a worker thread too.
  Result<std::string> Kv() const;

  std::string Models() const;
  std::string Props() const;
  EngineStats Stats() const { return parts_.engine->Stats(); }
  const EngineLimits& limits() const { return parts_.engine->limits(); }
  const ModelCard& card() const { return parts_.card; }

 private:
  struct Prompts {
    std::vector<std::vector<TokenId>> ids;
    std::vector<std::string> echo;  // empty: none
  };
  Result<std::unique_ptr<Generation>> Start(const GenerationOptions& options, const Caller& caller,
                                            std::vector<std::vector<TokenId>> prompts,
                                            std::unique_ptr<ReplyWriter> writer,
                                            std::string_view prompt_field) const;
  Result<std::vector<TokenId>> RenderChat(const ChatRequest& request) const;
  Request MakeRequest(const GenerationOptions& options, const Caller& caller,
                      std::vector<TokenId> prompt) const;
  Result<Prompts> EncodePrompts(const CompletionRequest& request) const;
  Result<void> CheckBytes(size_t bytes, std::string_view field) const;

  Parts parts_;
  TemplateHabits habits_;
  size_t max_token_bytes_ = 1;
};

}  // namespace lb::api

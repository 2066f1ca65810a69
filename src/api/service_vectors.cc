// Service: vectors and scores of texts.
#include <algorithm>
#include <utility>

#include "api/embedding_request.h"
#include "api/service.h"
#include "api/vector_writers.h"

namespace lb::api {
namespace {

// Values that one reply may hold: a quarter of a gigabyte of JSON.
constexpr int64_t kMaxValues = int64_t{1} << 24;

// Cut to `limit`: what the tokenizer put behind the text stays behind it.
void CutTo(size_t limit, bool keep_last, std::vector<TokenId>* ids) {
  if (ids->size() <= limit) return;
  const TokenId last = ids->back();
  ids->resize(limit);
  if (keep_last) ids->back() = last;
}

Error TooLong(std::string_view field, size_t index, size_t tokens, int64_t limit) {
  Error error{
      ErrorCode::kTooLong,
      fmt::format("{}[{}] is too large: it has {} tokens, which exceeds the available context "
                  "size of {} tokens; with \"truncate\": true it is cut",
                  field, index, tokens, limit),
      std::string(field)};
  error.prompt_tokens = static_cast<int64_t>(tokens);
  error.context_tokens = limit;
  return error;
}

}  // namespace

std::vector<TokenId> Service::EncodeWhole(const MixedPrompt& prompt) const {
  std::vector<TokenId> ids;
  bool first = true;
  for (const PromptPart& part : prompt) {
    const std::vector<TokenId> more =
        part.index() == 1 ? std::get<1>(part)
                          : parts_.tokenizer->Encode(std::get<0>(part), first, false);
    ids.insert(ids.end(), more.begin(), more.end());
    first = false;
  }
  const text::SpecialTokens& special = parts_.tokenizer->special();
  // "" is a text too.
  if (ids.empty()) ids.push_back(special.eos >= 0 ? special.eos : std::max(0, special.bos));
  return ids;
}

Request Service::MakeVectorRequest(const Caller& caller, size_t index,
                                   std::vector<TokenId> ids) const {
  Request request;
  request.id = fmt::format("{}#{}", caller.request_id, index);
  request.prompt = std::move(ids);
  request.client = caller.client;
  request.cache_prompt = parts_.defaults.cache_prompt;
  request.embed = true;
  const auto& adapters = parts_.defaults.adapters;
  if (adapters != nullptr) request.adapters = adapters->Current();
  return request;
}

Service::Pending Service::Embed(const boost::json::object& object, const Caller& caller,
                                EmbeddingForm form) const {
  const text::Tokenizer& tokenizer = *parts_.tokenizer;
  LB_ASSIGN_OR_RETURN(EmbeddingRequest request,
                      ParseEmbeddingRequest(object, tokenizer.num_tokens()));
  const auto pooling = limits().pooling;
  if (!pooling) {
    return Error{
        ErrorCode::kUnsupported, "this server makes no embeddings: start it with --embeddings", {}};
  }
  if (*pooling == Pooling::kRank) {
    return Error{ErrorCode::kUnsupported,
                 "this server scores documents and makes no embeddings: use /v1/rerank",
                 {}};
  }
  if (*pooling == Pooling::kNone && form != EmbeddingForm::kNative) {
    return Error{ErrorCode::kUnsupported,
                 "pooling \"none\" gives a vector for each token, which this reply has no place "
                 "for: use /embedding, or start the server with another --pooling",
                 {}};
  }
  EmbeddingReply reply;
  reply.model = request.model.empty() ? parts_.card.alias : request.model;
  reply.num_texts = request.inputs.size();
  reply.width = limits().vector_width;
  reply.dimensions = request.dimensions.value_or(reply.width);
  reply.normalize = request.normalize;
  reply.per_token = *pooling == Pooling::kNone;
  reply.base64 = request.base64;
  if (reply.dimensions > reply.width) {
    return BadField("dimensions", fmt::format("dimensions must be 1 to {}, which the model's "
                                              "vectors have, not {}",
                                              reply.width, reply.dimensions));
  }
  std::vector<Request> requests;
  requests.reserve(request.inputs.size());
  int64_t values = 0;
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    const MixedPrompt& input = request.inputs[i];
    const bool given = input.back().index() == 1;
    std::vector<TokenId> ids = EncodeWhole(input);
    const int64_t limit = limits().max_request_tokens;
    if (request.truncate) {
      const bool ends = tokenizer.special().add_eos || tokenizer.model() == "bert";
      CutTo(static_cast<size_t>(limit), ends && !given, &ids);
    } else if (std::ssize(ids) > limit) {
      return TooLong("input", i, ids.size(), limit);
    }
    reply.prompt_tokens += std::ssize(ids);
    values += reply.dimensions * (reply.per_token ? std::ssize(ids) : 1);
    if (values > kMaxValues) {
      return BadField("input", fmt::format("input: a reply may hold {} values, which {} texts with "
                                           "vectors of {} exceed: send fewer at once",
                                           kMaxValues, request.inputs.size(), reply.dimensions));
    }
    requests.push_back(MakeVectorRequest(caller, i, std::move(ids)));
  }
  auto writer = MakeEmbeddingWriter(std::move(reply), form);
  LB_ASSIGN_OR_RETURN(auto job,
                      VectorJob::Start(parts_.engine, std::move(requests), std::move(writer)));
  return std::unique_ptr<PendingReply>(std::move(job));
}

Service::Pending Service::OpenAiEmbeddings(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  return Embed(object, caller, EmbeddingForm::kOpenAi);
}

Service::Pending Service::NativeEmbeddings(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  return Embed(object, caller, EmbeddingForm::kNative);
}

// Ollama cuts a text that is too long unless it is told not to.
Service::Pending Service::OllamaEmbed(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(boost::json::object object, ParseJsonObject(body));
  if (Fields(object).Find("truncate") == nullptr) object["truncate"] = true;
  return Embed(object, caller, EmbeddingForm::kOllama);
}

Service::Pending Service::OllamaEmbeddings(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(boost::json::object object, ParseJsonObject(body));
  std::string prompt;
  if (Fields(object).Find("prompt") == nullptr) return Fields(object).Bad("prompt", "a string");
  LB_RETURN_IF_ERROR(Fields(object).Read("prompt", &prompt));
  object["input"] = prompt;
  object["truncate"] = true;
  return Embed(object, caller, EmbeddingForm::kOllamaOne);
}

Service::Pending Service::Rerank(std::string_view body, const Caller& caller) const {
  LB_ASSIGN_OR_RETURN(const boost::json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(RerankRequest request, ParseRerankRequest(object));
  if (limits().pooling != Pooling::kRank) {
    return Error{ErrorCode::kUnsupported,
                 "this server does not rerank: start it with --rerank and a model that has a score "
                 "head",
                 {}};
  }
  const text::Tokenizer& tokenizer = *parts_.tokenizer;
  const text::SpecialTokens& special = tokenizer.special();
  const auto limit = static_cast<size_t>(limits().max_request_tokens);
  // The marks that the file asks for, as llama.cpp places them: [CLS] query [SEP] document [SEP],
  // or <s> query </s></s> document </s>.
  const TokenId end = !special.add_eos ? -1 : special.eos >= 0 ? special.eos : special.sep;
  std::vector<TokenId> head;
  if (special.add_bos && special.bos >= 0) head.push_back(special.bos);
  const std::vector<TokenId> query = tokenizer.Encode(request.query, false, false);
  head.insert(head.end(), query.begin(), query.end());
  if (end >= 0) head.push_back(end);
  if (special.add_sep && special.sep >= 0) head.push_back(special.sep);
  RerankReply reply;
  reply.model = request.model.empty() ? parts_.card.alias : request.model;
  reply.num_texts = request.documents.size();
  reply.top_n = static_cast<size_t>(request.top_n.value_or(static_cast<int>(reply.num_texts)));
  reply.normalize = request.normalize;
  reply.tei = request.tei;
  std::vector<Request> requests;
  requests.reserve(request.documents.size());
  for (size_t i = 0; i < request.documents.size(); ++i) {
    std::vector<TokenId> ids = head;
    const std::vector<TokenId> document = tokenizer.Encode(request.documents[i], false, false);
    ids.insert(ids.end(), document.begin(), document.end());
    if (end >= 0) ids.push_back(end);
    // Of a query that fills the room nothing would be left to score.
    if (request.truncate && head.size() + 1 < limit) {
      CutTo(limit, end >= 0, &ids);
    } else if (ids.size() > limit) {
      return TooLong(request.tei ? "texts" : "documents", i, ids.size(), limits().max_request_tokens);
    }
    reply.prompt_tokens += std::ssize(ids);
    requests.push_back(MakeVectorRequest(caller, i, std::move(ids)));
  }
  if (request.return_documents) reply.documents = std::move(request.documents);
  LB_ASSIGN_OR_RETURN(auto job, VectorJob::Start(parts_.engine, std::move(requests),
                                                 MakeRerankWriter(std::move(reply))));
  return std::unique_ptr<PendingReply>(std::move(job));
}

}  // namespace lb::api

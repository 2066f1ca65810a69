// The endpoints of Service that answer at once: models, props, tokenize, detokenize.
#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "api/generation_settings.h"
#include "api/json_writer.h"
#include "api/kv_report.h"
#include "api/service.h"

namespace lb::api {
namespace json = boost::json;
namespace {

// llama.cpp's numbers for the kinds of vocabulary.
int VocabType(std::string_view model) {
  if (model == "llama") return 1;
  if (model == "gpt2") return 2;
  if (model == "bert") return 3;
  if (model == "t5") return 4;
  return 0;
}

Result<std::vector<TokenId>> ParseTokens(const Fields& fields, int num_tokens) {
  LB_ASSIGN_OR_RETURN(const auto* list, fields.Array("tokens"));
  if (list == nullptr) return fields.Bad("tokens", "a list of token ids");
  std::vector<TokenId> ids;
  ids.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    const auto id = AsInt((*list)[i]);
    if (!id || *id < 0 || *id >= num_tokens) {
      return BadField("tokens", fmt::format("tokens[{}] must be a token id from 0 to {}, not {}", i,
                                            num_tokens - 1, Describe((*list)[i])));
    }
    ids.push_back(static_cast<TokenId>(*id));
  }
  return ids;
}

}  // namespace

void WriteUnloadedModel(const ModelCard& card, JsonWriter* w) {
  w->Key("id").String(card.alias).Key("object").String("model");
  w->Key("created").Int(card.created_unix).Key("owned_by").String("llama-box");
  w->Key("meta").BeginObject();
  w->Key("n_ctx_train").Int(card.trained_context).Key("n_embd").Int(card.width);
  w->Key("n_params").Int(card.num_parameters).Key("size").Int(card.size_bytes).EndObject();
}

void Service::WriteModel(JsonWriter* out) const {
  const ModelCard& card = parts_.card;
  JsonWriter& w = *out;
  w.Key("id").String(card.alias).Key("object").String("model");
  w.Key("created").Int(card.created_unix).Key("owned_by").String("llama-box");
  w.Key("meta").BeginObject();
  w.Key("vocab_type").Int(VocabType(parts_.tokenizer->model()));
  w.Key("n_vocab").Int(parts_.tokenizer->num_tokens());
  w.Key("n_ctx_train").Int(card.trained_context);
  w.Key("n_embd").Int(card.width);
  w.Key("n_params").Int(card.num_parameters);
  w.Key("size").Int(card.size_bytes);
  w.Key("n_ctx").Int(limits().pool_tokens);
  w.Key("n_slot").Int(limits().max_sequences);
  w.Key("n_slot_ctx").Int(limits().max_request_tokens);
  w.Key("ctx_shift").Bool(parts_.defaults.context_shift);
  w.Key("prompt_cache").Bool(parts_.defaults.cache_prompt);
  w.Key("seed").Int(parts_.defaults.seed);
  WriteSampling(parts_.defaults.sampling, &w);
  w.Key("support_vision").Bool(false);
  w.Key("support_audio").Bool(false);
  w.Key("support_speculative").Bool(false);
  const bool tools = parts_.chat_template != nullptr && parts_.chat_template->knows_tools();
  w.Key("support_tool_calls").Bool(tools);
  w.Key("support_parallel_tool_calls").Bool(tools && !tool_format_->shape.one);
  w.Key("support_reasoning").Bool(reasoning_.kind != ReasoningFormat::Kind::kNone);
  w.EndObject();
}

Result<std::string> Service::Kv() const {
  // Shared, since the engine may answer when nobody waits any more.
  const auto answer = std::make_shared<std::promise<EngineSnapshot>>();
  std::future<EngineSnapshot> future = answer->get_future();
  parts_.engine->InspectKv(
      [answer](EngineSnapshot snapshot) { answer->set_value(std::move(snapshot)); });
  if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) {
    return Error{ErrorCode::kUnavailable, "the engine is busy; try again later", {}};
  }
  const EngineSnapshot snapshot = future.get();
  if (snapshot.kv.stats.groups.empty()) {
    return Error{ErrorCode::kUnavailable, "the server is stopping", {}};
  }
  return KvReport(snapshot, limits());
}

Service::Pending Service::KvEventStream(std::string_view query) const {
  LB_ASSIGN_OR_RETURN(const KvEventOptions options, ParseKvEventOptions(query));
  return std::unique_ptr<PendingReply>(std::make_unique<KvEvents>(kv_feed_, options));
}

std::string Service::Props(bool sleeping) const {
  const text::SpecialTokens& special = parts_.tokenizer->special();
  const auto piece = [&](TokenId id) {
    return id < 0 ? std::string() : parts_.tokenizer->TokenBytes(id, true);
  };
  JsonWriter w;
  w.BeginObject();
  w.Key("default_generation_settings").BeginObject();
  w.Key("n_ctx").Int(limits().max_request_tokens);
  w.Key("params");
  WriteGenerationSettings(OptionsOf(parts_.defaults), 0, *parts_.tokenizer, &w);
  w.EndObject();
  w.Key("total_slots").Int(limits().max_sequences);
  w.Key("model_alias").String(parts_.card.alias);
  w.Key("model_path").String(parts_.card.path);
  w.Key("chat_template");
  w.String(parts_.chat_template == nullptr ? "" : parts_.chat_template->source());
  w.Key("chat_template_caps").BeginObject();
  if (parts_.chat_template != nullptr) {
    const text::ChatTemplate& chat = *parts_.chat_template;
    w.Key("supports_tools").Bool(chat.knows_tools());
    w.Key("supports_system_role").Bool(chat.knows_system_role());
    w.Key("supports_thinking").Bool(chat.knows_thinking());
  }
  w.EndObject();
  w.Key("modalities").BeginObject().Key("vision").Bool(false).Key("audio").Bool(false).EndObject();
  w.Key("bos_token").String(piece(special.bos));
  w.Key("eos_token").String(piece(special.eos));
  w.Key("build_info").String("llama-box " + parts_.card.version);
  w.Key("is_sleeping").Bool(sleeping);
  w.Key("limits").BeginObject();
  w.Key("pool_tokens").Int(limits().pool_tokens);
  w.Key("max_request_tokens").Int(limits().max_request_tokens);
  w.Key("max_batch_tokens").Int(limits().max_batch_tokens);
  w.Key("max_queue").Int(limits().max_queue);
  w.EndObject().EndObject();
  return w.Take();
}

std::string Service::ListAdapters() const {
  return parts_.defaults.adapters == nullptr ? "[]" : parts_.defaults.adapters->List();
}

Result<std::string> Service::SetAdapters(std::string_view body) const {
  if (parts_.defaults.adapters == nullptr) return Adapters({}).Set(body);
  return parts_.defaults.adapters->Set(body);
}

std::string Service::Slots() const {
  const int running = Stats().running;
  JsonWriter w;
  w.BeginArray();
  for (int i = 0; i < limits().max_sequences; ++i) {
    w.BeginObject().Key("id").Int(i).Key("n_ctx").Int(limits().max_request_tokens);
    w.Key("speculative").Bool(false).Key("is_processing").Bool(i < running).EndObject();
  }
  return w.EndArray().Take();
}

Result<std::string> Service::Tokenize(std::string_view body) const {
  LB_ASSIGN_OR_RETURN(const json::object object, ParseJsonObject(body));
  const Fields fields(object);
  bool add_special = false, parse_special = true, with_pieces = false;
  LB_RETURN_IF_ERROR(fields.Read("add_special", &add_special));
  LB_RETURN_IF_ERROR(fields.Read("parse_special", &parse_special));
  LB_RETURN_IF_ERROR(fields.Read("with_pieces", &with_pieces));
  const json::value* content = fields.Find("content");
  if (content == nullptr || (!content->is_string() && !content->is_array())) {
    return fields.Bad("content", "a string or a list of strings and token ids");
  }
  const text::Tokenizer& tokenizer = *parts_.tokenizer;
  std::vector<TokenId> ids;
  const json::array one = {*content};
  const json::array& parts = content->is_array() ? content->get_array() : one;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].is_string()) {
      const auto encoded =
          tokenizer.Encode(parts[i].get_string(), add_special && i == 0, parse_special);
      ids.insert(ids.end(), encoded.begin(), encoded.end());
      continue;
    }
    const auto id = AsInt(parts[i]);
    if (!id || *id < 0 || *id >= tokenizer.num_tokens()) {
      return BadField("content",
                      fmt::format("content[{}] must be a string or a token id from 0 to {}, not {}",
                                  i, tokenizer.num_tokens() - 1, Describe(parts[i])));
    }
    ids.push_back(static_cast<TokenId>(*id));
  }
  JsonWriter w;
  w.BeginObject().Key("model").String(parts_.card.alias).Key("tokens").BeginArray();
  for (const TokenId id : ids) {
    if (!with_pieces) {
      w.Int(id);
      continue;
    }
    const std::string bytes = tokenizer.TokenBytes(id, true);
    w.BeginObject().Key("id").Int(id).Key("piece");
    if (ValidUtf8Prefix(bytes) == bytes.size()) {
      w.String(bytes);
    } else {
      w.BeginArray();
      for (const char c : bytes) w.Int(static_cast<unsigned char>(c));
      w.EndArray();
    }
    w.EndObject();
  }
  w.EndArray().EndObject();
  return w.Take();
}

Result<std::string> Service::Detokenize(std::string_view body) const {
  LB_ASSIGN_OR_RETURN(const json::object object, ParseJsonObject(body));
  LB_ASSIGN_OR_RETURN(const std::vector<TokenId> ids,
                      ParseTokens(Fields(object), parts_.tokenizer->num_tokens()));
  JsonWriter w;
  w.BeginObject().Key("model").String(parts_.card.alias);
  w.Key("content").String(parts_.tokenizer->Decode(ids, true)).EndObject();
  return w.Take();
}

}  // namespace lb::api

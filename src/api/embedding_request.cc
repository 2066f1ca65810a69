#include "api/embedding_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace lb::api {
namespace json = boost::json;
namespace {

constexpr int kMaxDimensions = 1 << 20;
constexpr int kMaxNorm = 64;

// A list of ids, with texts between them or not.
Result<MixedPrompt> ParseIds(const json::array& list, const std::string& at,
                             const std::string& field, int num_tokens) {
  MixedPrompt prompt;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_string()) {
      prompt.emplace_back(std::string(list[i].get_string()));
      continue;
    }
    const auto id = AsInt(list[i]);
    if (!id || *id < 0 || *id >= num_tokens) {
      return BadField(field, fmt::format("{}[{}] must be a token id from 0 to {} or a text, not {}",
                                         at, i, num_tokens - 1, Describe(list[i])));
    }
    if (prompt.empty() || prompt.back().index() == 0) prompt.emplace_back(std::vector<TokenId>());
    std::get<1>(prompt.back()).push_back(static_cast<TokenId>(*id));
  }
  if (prompt.empty()) return BadField(field, fmt::format("{} has no tokens", at));
  return prompt;
}

// An object that holds a text: {"text": ...}, llama.cpp's {"prompt_string": ...}, or {"content":
// [{"type": "text", "text": ...}, ...]}, whose parts follow each other.
Result<std::string> ParseObject(const json::object& object, const std::string& at,
                                const std::string& field) {
  for (const char* key : {"text", "prompt_string"}) {
    const json::value* text = object.if_contains(key);
    if (text != nullptr && text->is_string()) return std::string(text->get_string());
  }
  const json::value* content = object.if_contains("content");
  if (content == nullptr || !content->is_array()) {
    return BadField(field, fmt::format("{} must have a \"text\" or a list of text parts as its "
                                       "\"content\", not {}",
                                       at, content == nullptr ? "neither" : Describe(*content)));
  }
  std::string whole;
  for (const json::value& part : content->get_array()) {
    const json::object* one = part.if_object();
    const json::value* type = one == nullptr ? nullptr : one->if_contains("type");
    const json::value* text = one == nullptr ? nullptr : one->if_contains("text");
    if (type == nullptr || *type != "text" || text == nullptr || !text->is_string()) {
      return BadField(field, fmt::format("{}.content may hold texts only: {{\"type\": \"text\", "
                                         "\"text\": ...}}, not {}",
                                         at, Describe(part)));
    }
    whole += text->get_string();
  }
  return whole;
}

Result<std::vector<MixedPrompt>> ParseInputs(const json::value& value, const std::string& field,
                                             int num_tokens) {
  std::vector<MixedPrompt> inputs;
  if (value.is_string()) {
    inputs.push_back({std::string(value.get_string())});
    return inputs;
  }
  if (value.is_object()) {
    LB_ASSIGN_OR_RETURN(std::string text, ParseObject(value.get_object(), field, field));
    inputs.push_back({std::move(text)});
    return inputs;
  }
  if (!value.is_array() || value.get_array().empty()) {
    return BadField(field,
                    fmt::format("{} must be a text, a list of texts, a list of token ids or "
                                "a list of such lists, with at least one element, not {}",
                                field, value.is_array() ? "an empty list" : Describe(value)));
  }
  const json::array& list = value.get_array();
  // A list with a number in it is one text; any other list is a list of texts.
  if (std::ranges::any_of(list, [](const json::value& v) { return v.is_number(); })) {
    LB_ASSIGN_OR_RETURN(MixedPrompt prompt, ParseIds(list, field, field, num_tokens));
    inputs.push_back(std::move(prompt));
    return inputs;
  }
  inputs.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string at = fmt::format("{}[{}]", field, i);
    if (list[i].is_string()) {
      inputs.push_back({std::string(list[i].get_string())});
    } else if (list[i].is_object()) {
      LB_ASSIGN_OR_RETURN(std::string text, ParseObject(list[i].get_object(), at, field));
      inputs.push_back({std::move(text)});
    } else if (list[i].is_array()) {
      LB_ASSIGN_OR_RETURN(MixedPrompt prompt, ParseIds(list[i].get_array(), at, field, num_tokens));
      inputs.push_back(std::move(prompt));
    } else {
      return BadField(field, fmt::format("{} must be a text or a list of token ids, not {}", at,
                                         Describe(list[i])));
    }
  }
  return inputs;
}

}  // namespace

Result<EmbeddingRequest> ParseEmbeddingRequest(const json::object& body, int num_tokens) {
  const Fields fields(body);
  EmbeddingRequest request;
  const std::string field =
      fields.Find("input") == nullptr && fields.Find("content") != nullptr ? "content" : "input";
  const json::value* value = fields.Find(field);
  if (value == nullptr) return fields.Bad(field, "a text or a list");
  LB_ASSIGN_OR_RETURN(request.inputs, ParseInputs(*value, field, num_tokens));
  LB_ASSIGN_OR_RETURN(const auto format, fields.String("encoding_format"));
  if (format && *format != "float" && *format != "base64") {
    return fields.Bad("encoding_format", "\"float\" or \"base64\"");
  }
  request.base64 = format == "base64";
  LB_ASSIGN_OR_RETURN(const auto dimensions, fields.Int("dimensions", 1, kMaxDimensions));
  if (dimensions) request.dimensions = static_cast<int>(*dimensions);
  LB_RETURN_IF_ERROR(fields.Read("embd_normalize", &request.normalize, -1, kMaxNorm));
  LB_RETURN_IF_ERROR(fields.Read("truncate", &request.truncate));
  LB_RETURN_IF_ERROR(fields.Read("model", &request.model));
  return request;
}

Result<RerankRequest> ParseRerankRequest(const json::object& body) {
  const Fields fields(body);
  RerankRequest request;
  LB_RETURN_IF_ERROR(fields.Read("query", &request.query));
  if (request.query.empty()) return fields.Bad("query", "a text that is not empty");
  request.tei = body.contains("texts") && !body.contains("documents");
  const char* name = request.tei ? "texts" : "documents";
  LB_ASSIGN_OR_RETURN(const auto* list, fields.Array(name));
  if (list == nullptr || list->empty()) {
    return BadField(name, fmt::format("{} must be a list of at least one text", name));
  }
  request.documents.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    const json::value* text = &(*list)[i];
    if (text->is_object()) text = text->get_object().if_contains("text");
    if (text == nullptr || !text->is_string()) {
      return BadField(name, fmt::format("{}[{}] must be a text or an object with a text, not {}",
                                        name, i, Describe((*list)[i])));
    }
    request.documents.emplace_back(text->get_string());
  }
  LB_ASSIGN_OR_RETURN(const auto top_n, fields.Int("top_n", 0, int64_t{1} << 31));
  if (top_n) {
    request.top_n = static_cast<int>(std::min<int64_t>(*top_n, std::ssize(request.documents)));
  }
  if (request.tei) {
    bool raw = false;
    request.return_documents = false;
    LB_RETURN_IF_ERROR(fields.Read("return_text", &request.return_documents));
    LB_RETURN_IF_ERROR(fields.Read("raw_scores", &raw));
    request.normalize = !raw;
  } else {
    LB_RETURN_IF_ERROR(fields.Read("return_documents", &request.return_documents));
    LB_RETURN_IF_ERROR(fields.Read("normalize", &request.normalize));
  }
  LB_RETURN_IF_ERROR(fields.Read("truncate", &request.truncate));
  LB_RETURN_IF_ERROR(fields.Read("model", &request.model));
  return request;
}

void Normalize(int kind, std::vector<float>* vector) {
  if (kind < 0) return;
  double size = 0;
  if (kind == 0) {
    for (float x : *vector) size = std::max(size, std::fabs(static_cast<double>(x)));
    size /= 32760.0;  // llama.cpp's largest value: the vector fits 16 bits
  } else if (kind == 2) {
    for (float x : *vector) size += static_cast<double>(x) * x;
    size = std::sqrt(size);
  } else {
    for (float x : *vector) size += std::pow(std::fabs(static_cast<double>(x)), kind);
    size = std::pow(size, 1.0 / kind);
  }
  if (!(size > 0)) return;
  for (float& x : *vector) x = static_cast<float>(x / size);
}

}  // namespace lb::api

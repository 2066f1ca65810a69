// Request bodies: any bytes may come, and none may crash, hang or slip through as something
// invalid. The first byte chooses the endpoint.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/anthropic/messages_request.h"
#include "api/chat_input.h"
#include "api/chat_request.h"
#include "api/completion_request.h"
#include "api/embedding_request.h"
#include "api/json_writer.h"
#include "api/native_request.h"
#include "api/ollama/ollama_request.h"
#include "api/responses/responses_request.h"
#include "base/check.h"
#include "tests/api/fakes.h"

namespace {

const lb::ByteTokenizer& Tok() {
  static const lb::ByteTokenizer tokenizer;
  return tokenizer;
}

void CheckError(const lb::Error& error) {
  CHECK(error.code == lb::ErrorCode::kInvalidArgument ||
        error.code == lb::ErrorCode::kUnsupported || error.code == lb::ErrorCode::kTooLong);
  CHECK(!error.message.empty());
  CHECK_LE(error.message.size(), 600u);
  CHECK_LE(error.param.size(), 200u);
  for (const std::string* text : {&error.message, &error.param}) {
    for (const char c : *text) CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  }
}

void CheckOptions(const lb::api::GenerationOptions& options) {
  CHECK(options.n >= 1 && options.n <= lb::api::kMaxChoices);
  CHECK(options.max_tokens >= -1);
  CHECK(options.stop.size() <= lb::api::kMaxStops);
  CHECK(options.sampling.temperature >= 0);
  CHECK(options.sampling.top_p >= 0 && options.sampling.top_p <= 1);
  CHECK(options.sampling.repeat_penalty > 0);
  for (const auto& [id, bias] : options.sampling.logit_bias) {
    CHECK(id >= 0 && id < Tok().num_tokens());
    CHECK(bias <= 100.0f);
  }
}

// Equal, but for the last bit of a float: Boost.JSON does not round every decimal correctly.
// `a` was written from `b`.
bool Same(const boost::json::value& a, const boost::json::value& b) {
  if (a.is_double() && b.is_double()) {
    return std::abs(a.get_double() - b.get_double()) <= 1e-14 * std::abs(a.get_double());
  }
  // 1e999 reads as infinity, for which JSON has no word.
  if (b.is_double() && !std::isfinite(b.get_double())) return a.is_null();
  if (a.kind() != b.kind()) return false;
  if (a.is_array()) {
    const auto& x = a.get_array();
    const auto& y = b.get_array();
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), Same);
  }
  if (a.is_object()) {
    const auto& x = a.get_object();
    const auto& y = b.get_object();
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](const auto& p, const auto& q) {
      return p.key() == q.key() && Same(p.value(), q.value());
    });
  }
  return a == b;
}

// What is parsed can be written, and reads back as the same.
void CheckWriter(const boost::json::object& object) {
  lb::api::JsonWriter writer;
  writer.Value(object);
  const auto again = lb::api::ParseJson(writer.text());
  CHECK(again.has_value());
  CHECK(Same(*again, object));
}

void CheckChat(const lb::Result<lb::api::ChatRequest>& request, uint8_t bits) {
  if (!request.has_value()) return CheckError(request.error());
  CheckOptions(request->options);
  CHECK(!request->messages.empty());
  lb::api::TemplateHabits habits;
  habits.object_arguments = bits & 1;
  habits.null_content = bits & 2;
  static_cast<void>(lb::api::MakeChatInput(*request, habits, 0));
}

void CheckOllama(const lb::Result<lb::api::OllamaRequest>& request, uint8_t bits) {
  if (!request.has_value()) return CheckError(request.error());
  if (request->empty) return;
  if (!request->text) return CheckChat(request->chat, bits);
  CHECK_EQ(request->text->prompt.prompts.size(), 1u);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto object = lb::api::ParseJsonObject(body);
  if (!object.has_value()) {
    CheckError(object.error());
    return 0;
  }
  CheckWriter(*object);
  const auto bits = static_cast<uint8_t>(data[0] >> 3);
  switch (data[0] % 8) {
    case 0:
      CheckChat(lb::api::ParseChatRequest(*object, {}, Tok()), bits);
      break;
    case 2:
      CheckOllama(lb::api::ParseOllamaChat(*object, {}, Tok()), bits);
      break;
    case 4:
      CheckOllama(lb::api::ParseOllamaGenerate(*object, {}, Tok()), bits);
      break;
    case 1:
      if (const auto request = lb::api::ParseCompletionRequest(*object, {}, Tok())) {
        CheckOptions(request->options);
        CHECK(!request->prompt.prompts.empty());
      } else {
        CheckError(request.error());
      }
      break;
    case 5:
      CheckChat(lb::api::ParseMessagesRequest(*object, {}, Tok()), bits);
      break;
    case 6:
      if (const auto request = lb::api::ParseResponsesRequest(*object, {}, Tok())) {
        CheckWriter(request->echo);
        CheckChat(request->chat, bits);
      } else {
        CheckError(request.error());
      }
      break;
    case 3:
      if (const auto request = lb::api::ParseEmbeddingRequest(*object, Tok().num_tokens())) {
        CHECK(!request->inputs.empty());
        for (const auto& input : request->inputs) CHECK(!input.empty());
      } else {
        CheckError(request.error());
      }
      if (const auto request = lb::api::ParseRerankRequest(*object)) {
        CHECK(!request->documents.empty());
        CHECK(!request->query.empty());
      } else {
        CheckError(request.error());
      }
      break;
    default:
      if (const auto request = lb::api::ParseNativeRequest(*object, {}, Tok())) {
        CheckOptions(request->options);
        CHECK(!request->prompt.prompts.empty());
      } else {
        CheckError(request.error());
      }
      if (const auto request = lb::api::ParseInfillRequest(*object, {}, Tok())) {
        CheckOptions(request->options);
        CHECK_LE(request->prompt.prompts.size(), 1u);
      } else {
        CheckError(request.error());
      }
  }
  return 0;
}

// Request bodies: any bytes may come, and none may crash, hang or slip through as something invalid.
// The first byte chooses the endpoint.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/chat_input.h"
#include "api/chat_request.h"
#include "api/completion_request.h"
#include "api/json_writer.h"
#include "base/check.h"
#include "tests/api/fakes.h"

namespace {

const lb::ByteTokenizer& Tok() {
  static const lb::ByteTokenizer tokenizer;
  return tokenizer;
}

void CheckError(const lb::Error& error) {
  CHECK(error.code == lb::ErrorCode::kInvalidArgument || error.code == lb::ErrorCode::kUnsupported ||
        error.code == lb::ErrorCode::kTooLong);
  CHECK(!error.message.empty());
  CHECK(error.message.find('\n') == std::string::npos);
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

// What is parsed can be written, and reads back as the same.
void CheckWriter(const boost::json::object& object) {
  lb::api::JsonWriter first, second;
  first.Value(object);
  const auto again = lb::api::ParseJson(first.text());
  CHECK(again.has_value());
  second.Value(*again);
  CHECK(first.text() == second.text());
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
  if (data[0] % 2 == 0) {
    const auto request = lb::api::ParseChatRequest(*object, {}, Tok());
    if (!request.has_value()) {
      CheckError(request.error());
      return 0;
    }
    CheckOptions(request->options);
    CHECK(!request->messages.empty());
    lb::api::TemplateHabits habits;
    habits.object_arguments = data[0] & 2;
    habits.null_content = data[0] & 4;
    static_cast<void>(lb::api::MakeChatInput(*request, habits, 0));
  } else {
    const auto request = lb::api::ParseCompletionRequest(*object, {}, Tok());
    if (!request.has_value()) {
      CheckError(request.error());
      return 0;
    }
    CheckOptions(request->options);
    CHECK(!request->prompts.empty());
  }
  return 0;
}

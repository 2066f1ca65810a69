#include "api/errors.h"

#include "api/json_writer.h"

namespace lb::api {

ErrorView View(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return {400, "invalid_request_error", "", false};
    case ErrorCode::kTooLong:
      return {400, "exceed_context_size_error", "context_length_exceeded", false};
    case ErrorCode::kNotFound:
      return {404, "not_found_error", "", false};
    case ErrorCode::kUnsupported:
      return {400, "invalid_request_error", "unsupported", false};
    case ErrorCode::kOverloaded:
      return {429, "rate_limit_error", "rate_limit_exceeded", true};
    case ErrorCode::kUnavailable:
      return {503, "unavailable_error", "", true};
    case ErrorCode::kCancelled:
      return {408, "timeout_error", "", false};
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
    case ErrorCode::kComputeFault:
    case ErrorCode::kInternal:
      break;
  }
  return {500, "server_error", "", false};
}

namespace {

void WriteError(int status, std::string_view type, std::string_view code, std::string_view message,
                std::string_view param, JsonWriter* w) {
  w->Key("message").String(message);
  w->Key("type").String(type);
  w->Key("param");
  param.empty() ? w->Null() : w->String(param);
  w->Key("code");
  code.empty() ? w->Int(status) : w->String(code);
}

}  // namespace

std::string ErrorJson(const Error& error) {
  const ErrorView view = View(error.code);
  JsonWriter w;
  w.BeginObject().Key("error").BeginObject();
  WriteError(view.status, view.type, view.code, error.message, error.param, &w);
  if (error.context_tokens > 0) {
    w.Key("n_prompt_tokens").Int(error.prompt_tokens);
    w.Key("n_ctx").Int(error.context_tokens);
  }
  w.EndObject().EndObject();
  return w.Take();
}

std::string ErrorJson(int status, std::string_view type, std::string_view code,
                      std::string_view message, std::string_view param) {
  JsonWriter w;
  w.BeginObject().Key("error").BeginObject();
  WriteError(status, type, code, message, param, &w);
  w.EndObject().EndObject();
  return w.Take();
}

}  // namespace lb::api

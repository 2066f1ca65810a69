#include "api/errors.h"

#include "api/json_writer.h"

namespace lb::api {

ErrorView View(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return {400, "invalid_request_error", "", false};
    case ErrorCode::kTooLong:
      return {400, "invalid_request_error", "context_length_exceeded", false};
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

std::string ErrorJson(const Error& error) {
  const ErrorView view = View(error.code);
  return ErrorJson(view.status, view.type, view.code, error.message, error.param);
}

std::string ErrorJson(int status, std::string_view type, std::string_view code,
                      std::string_view message, std::string_view param) {
  JsonWriter w;
  w.BeginObject().Key("error").BeginObject();
  w.Key("message").String(message);
  w.Key("type").String(type);
  w.Key("param");
  param.empty() ? w.Null() : w.String(param);
  w.Key("code");
  code.empty() ? w.Int(status) : w.String(code);
  w.EndObject().EndObject();
  return w.Take();
}

}  // namespace lb::api

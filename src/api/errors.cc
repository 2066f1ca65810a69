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

std::string_view AnthropicType(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 408:
      return "timeout_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

std::string Written(const ErrorView& view, const Error& error, ErrorForm form) {
  JsonWriter w;
  w.BeginObject();
  switch (form) {
    case ErrorForm::kOllama:
      w.Key("error").String(error.message);
      break;
    case ErrorForm::kAnthropic:
      w.Key("type").String("error").Key("error").BeginObject();
      w.Key("type").String(AnthropicType(view.status));
      w.Key("message").String(error.message);
      if (!error.param.empty()) w.Key("param").String(error.param);
      w.EndObject();
      break;
    case ErrorForm::kOpenAi:
      w.Key("error").BeginObject();
      w.Key("message").String(error.message);
      w.Key("type").String(view.type);
      w.Key("param");
      error.param.empty() ? w.Null() : w.String(error.param);
      w.Key("code");
      view.code.empty() ? w.Int(view.status) : w.String(view.code);
      if (error.context_tokens > 0) {
        w.Key("n_prompt_tokens").Int(error.prompt_tokens);
        w.Key("n_ctx").Int(error.context_tokens);
      }
      w.EndObject();
      break;
  }
  return w.EndObject().Take();
}

}  // namespace

std::string ErrorJson(const Error& error, ErrorForm form) {
  return Written(View(error.code), error, form);
}

std::string ErrorJson(int status, std::string_view type, std::string_view code,
                      std::string_view message, ErrorForm form) {
  return Written({status, type, code, false}, Error{ErrorCode::kInternal, std::string(message), {}},
                 form);
}

}  // namespace lb::api

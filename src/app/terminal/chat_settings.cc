#include "app/terminal/chat_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace lb::app {
namespace {

struct Parameter {
  std::string_view name;   // as it is typed
  std::string_view field;  // of the request
};
constexpr Parameter kParameters[] = {
    {"temperature", "temperature"}, {"top_k", "top_k"}, {"top_p", "top_p"}, {"min_p", "min_p"},
    {"typical_p", "typical_p"}, {"seed", "seed"}, {"num_predict", "max_tokens"}, {"max_tokens", "max_tokens"},
    {"repeat_penalty", "repeat_penalty"}, {"repeat_last_n", "repeat_last_n"},
    {"presence_penalty", "presence_penalty"}, {"frequency_penalty", "frequency_penalty"},
    {"mirostat", "mirostat"}, {"mirostat_tau", "mirostat_tau"}, {"mirostat_eta", "mirostat_eta"},
    {"dry_multiplier", "dry_multiplier"}, {"xtc_probability", "xtc_probability"},
    {"reasoning_budget", "reasoning_budget"}, {"stop", "stop"},
};

bool IsNumber(const std::string& text) {
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && rest == text.data() + text.size() && number - number == 0;
}

}  // namespace

Result<void> ChatSettings::SetParameter(std::string_view name, const std::vector<std::string>& values) {
  if (name == "num_ctx") {
    return Fail(ErrorCode::kInvalidArgument, "the context is made when the model is loaded: llama-box run -c TOKENS");
  }
  const auto* found = std::ranges::find(kParameters, name, &Parameter::name);
  if (found == std::end(kParameters)) {
    std::string names;
    for (const Parameter& parameter : kParameters) names += fmt::format(" {}", parameter.name);
    return Fail(ErrorCode::kInvalidArgument, "no parameter {}; there are:{}", name, names);
  }
  if (found->field != "stop" && (values.size() != 1 || !IsNumber(values[0]))) {
    return Fail(ErrorCode::kInvalidArgument, "{} wants one number", name);
  }
  if (found->field != "stop") {
    parameters_[std::string(found->field)] = values[0];
    return {};
  }
  api::JsonWriter w;
  w.BeginArray();
  for (const std::string& value : values) w.String(value);
  w.EndArray();
  parameters_["stop"] = w.Take();
  return {};
}

std::string ChatSettings::ShowParameters() const {
  std::string text;
  for (const auto& [field, json] : parameters_) text += fmt::format("{:<20} {}\n", field, json);
  return text.empty() ? "none but those of the command line\n" : text;
}

void ChatSettings::WriteFields(api::JsonWriter* w) const {
  for (const auto& [field, json] : parameters_) w->Key(field).Raw(json);
  if (think) w->Key("enable_thinking").Bool(*think);
  if (json) w->Key("response_format").BeginObject().Key("type").String("json_object").EndObject();
}

}  // namespace lb::app

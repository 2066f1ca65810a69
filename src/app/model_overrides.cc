#include "app/model_overrides.h"

#include <charconv>
#include <utility>

namespace lb::app {
namespace {

using gguf::Value;
using gguf::ValueType;

Value FloatValue(double number) { return {ValueType::kFloat64, ValueType::kUint32, number}; }
Value TextValue(std::string text) { return {ValueType::kString, ValueType::kUint32, std::move(text)}; }

template <typename T>
bool ParseNumber(std::string_view text, T* out) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return ec == std::errc() && end == text.data() + text.size();
}

// KEY=TYPE:VALUE
Result<std::pair<std::string, Value>> ParseOverride(const std::string& text) {
  const size_t equals = text.find('='), colon = text.find(':', equals + 1);
  const auto bad = [&] {
    return Fail(ErrorCode::kInvalidArgument,
                "--override-kv must be KEY=TYPE:VALUE with TYPE int, float, bool or str, not {}", text);
  };
  if (equals == 0 || equals == std::string::npos || colon == std::string::npos) return bad();
  const std::string key = text.substr(0, equals), value = text.substr(colon + 1);
  const std::string type = text.substr(equals + 1, colon - equals - 1);
  if (type == "str") return std::pair(key, TextValue(value));
  if (type == "bool" && (value == "true" || value == "false")) {
    return std::pair(key, Value{ValueType::kBool, ValueType::kUint32, value == "true"});
  }
  int64_t integer = 0;
  if (type == "int" && ParseNumber(value, &integer)) {
    return std::pair(key, Value{ValueType::kInt64, ValueType::kUint32, integer});
  }
  double number = 0;
  if (type == "float" && ParseNumber(value, &number)) return std::pair(key, FloatValue(number));
  return bad();
}

}  // namespace

Result<void> OverrideMetadata(const Flags& flags, gguf::Metadata* metadata) {
  for (const std::string& text : flags.override_kv) {
    LB_ASSIGN_OR_RETURN(auto entry, ParseOverride(text));
    metadata->Set(std::move(entry.first), std::move(entry.second));
  }
  LB_ASSIGN_OR_RETURN(const auto arch, metadata->String("general.architecture"));
  const std::string rope = arch.value_or("") + ".rope.";
  const auto set = [&](const char* key, double number) {
    if (number > 0) metadata->Set(rope + key, FloatValue(number));
  };
  const double factor = flags.rope_scale > 0        ? flags.rope_scale
                        : flags.rope_freq_scale > 0 ? 1 / flags.rope_freq_scale
                                                    : 0;
  set("freq_base", flags.rope_freq_base);
  set("scaling.factor", factor);
  set("scaling.attn_factor", flags.yarn_attn_factor);
  set("scaling.yarn_beta_fast", flags.yarn_beta_fast);
  set("scaling.yarn_beta_slow", flags.yarn_beta_slow);
  if (flags.yarn_orig_ctx > 0) {
    metadata->Set(rope + "scaling.original_context_length",
                  {ValueType::kInt64, ValueType::kUint32, flags.yarn_orig_ctx});
  }
  if (!flags.rope_scaling.empty()) {
    metadata->Set(rope + "scaling.type", TextValue(flags.rope_scaling));
  } else if (factor > 0 && metadata->Find(rope + "scaling.type") == nullptr) {
    metadata->Set(rope + "scaling.type", TextValue("linear"));
  }
  return {};
}

}  // namespace lb::app

// The sampler fields of a request: OpenAI's and llama.cpp's names, documented ranges, one meaning
// each. Outside its range a value is an error, never a surprise.
#include <charconv>
#include <limits>

#include "api/options.h"
#include "base/printable.h"

namespace lb::api {
namespace json = boost::json;
namespace {

constexpr int64_t kIntMax = std::numeric_limits<int32_t>::max();
// Far beyond use, far below where float arithmetic breaks down.
constexpr double kBig = 1e9;
constexpr size_t kMaxBiasWords = 4096;  // bytes of one text

struct Stage {
  std::string_view name;
  SamplerStage stage;
};
constexpr Stage kStages[] = {
    {"penalties", SamplerStage::kPenalties},
    {"dry", SamplerStage::kDry},
    {"top_n_sigma", SamplerStage::kTopNSigma},
    {"top_k", SamplerStage::kTopK},
    {"typ_p", SamplerStage::kTypical},
    {"typical_p", SamplerStage::kTypical},
    {"top_p", SamplerStage::kTopP},
    {"min_p", SamplerStage::kMinP},
    {"xtc", SamplerStage::kXtc},
    {"temperature", SamplerStage::kTemperature},
};

Result<float> BiasValue(const json::value& value, const std::string& name) {
  constexpr float kBan = -std::numeric_limits<float>::infinity();
  if (value.is_bool() && !value.get_bool()) return kBan;
  const auto number = AsNumber(value);
  if (!number || !(*number >= -100.0 && *number <= 100.0)) {
    return BadField(name, fmt::format("{} must be a number from -100 to 100 or false, not {}", name,
                                      Describe(value)));
  }
  // OpenAI documents -100 as a ban, and only minus infinity is one at every temperature.
  return *number <= -100.0 ? kBan : static_cast<float>(*number);
}

Result<TokenId> BiasToken(std::optional<int64_t> id, std::string_view shown, int num_tokens,
                          const std::string& name) {
  if (!id || *id < 0 || *id >= num_tokens) {
    return BadField(
        name, fmt::format("{}: {} is not a token id from 0 to {}", name, shown, num_tokens - 1));
  }
  return static_cast<TokenId>(*id);
}

// Every token of the text `words`, as llama.cpp has it.
void BiasWords(std::string_view words, float bias, const text::Tokenizer& tokenizer,
               SamplingParams* sampling) {
  for (const TokenId token : tokenizer.Encode(words.substr(0, kMaxBiasWords), false, true)) {
    sampling->logit_bias.emplace_back(token, bias);
  }
}

// {"15": -100, ...}: OpenAI's form. llama.cpp's endpoints allow words as keys, too.
Result<void> ParseBiasObject(const json::object& object, const std::string& name, Dialect dialect,
                             const text::Tokenizer& tokenizer, SamplingParams* sampling) {
  for (const auto& [key, element] : object) {
    int64_t id = -1;
    const auto [end, ec] = std::from_chars(key.data(), key.data() + key.size(), id);
    const bool number = ec == std::errc() && end == key.data() + key.size();
    LB_ASSIGN_OR_RETURN(const float bias, BiasValue(element, name + "." + Printable(key)));
    if (!number && dialect == Dialect::kLlamaCpp) {
      BiasWords(key, bias, tokenizer, sampling);
      continue;
    }
    LB_ASSIGN_OR_RETURN(const TokenId token,
                        BiasToken(number ? std::optional(id) : std::nullopt,
                                  Describe(json::string(key)), tokenizer.num_tokens(), name));
    sampling->logit_bias.emplace_back(token, bias);
  }
  return {};
}

// [[15, -100], ["words", 0.5], ...]: llama.cpp's form.
Result<void> ParseBiasList(const json::array& list, const std::string& name,
                           const text::Tokenizer& tokenizer, SamplingParams* sampling) {
  for (size_t i = 0; i < list.size(); ++i) {
    const json::value& pair = list[i];
    const std::string at = fmt::format("{}[{}]", name, i);
    if (!pair.is_array() || pair.get_array().size() != 2) {
      return BadField(
          at, fmt::format("{} must be [token id or text, bias], not {}", at, Describe(pair)));
    }
    const json::value& first = pair.get_array()[0];
    LB_ASSIGN_OR_RETURN(const float bias, BiasValue(pair.get_array()[1], at));
    if (first.is_string()) {
      BiasWords(first.get_string(), bias, tokenizer, sampling);
      continue;
    }
    LB_ASSIGN_OR_RETURN(const TokenId token,
                        BiasToken(AsInt(first), Describe(first), tokenizer.num_tokens(), at));
    sampling->logit_bias.emplace_back(token, bias);
  }
  return {};
}

Result<void> ParseLogitBias(const Fields& fields, const text::Tokenizer& tokenizer, Dialect dialect,
                            SamplingParams* sampling) {
  const json::value* value = fields.Find("logit_bias");
  if (value == nullptr) return {};
  const std::string name = fields.Name("logit_bias");
  sampling->logit_bias.clear();
  if (value->is_object()) {
    return ParseBiasObject(value->get_object(), name, dialect, tokenizer, sampling);
  }
  if (!value->is_array()) return fields.Bad("logit_bias", "an object of token ids and biases");
  return ParseBiasList(value->get_array(), name, tokenizer, sampling);
}

Result<void> ParseDry(const Fields& fields, const text::Tokenizer& tokenizer,
                      SamplingParams* sampling) {
  LB_RETURN_IF_ERROR(fields.Read("dry_multiplier", &sampling->dry_multiplier, 0, kBig));
  LB_RETURN_IF_ERROR(fields.Read("dry_base", &sampling->dry_base, 0, kBig));
  LB_RETURN_IF_ERROR(fields.Read("dry_allowed_length", &sampling->dry_allowed_length, 0, kIntMax));
  LB_RETURN_IF_ERROR(fields.Read("dry_penalty_last_n", &sampling->dry_penalty_last_n, -1, kIntMax));
  // llama.cpp's rule: below 1 the base would reward what it should punish, so its default stands.
  if (sampling->dry_base < 1.0f) sampling->dry_base = SamplingParams().dry_base;
  std::vector<std::string> breakers = DefaultDryBreakers();
  const bool given = fields.Find("dry_sequence_breakers") != nullptr;
  sampling->dry_breakers_given |= given;
  if (given) {
    LB_ASSIGN_OR_RETURN(breakers, fields.Strings("dry_sequence_breakers"));
    if (breakers.size() > 64) {
      return BadField(fields.Name("dry_sequence_breakers"),
                      fmt::format("dry_sequence_breakers may hold at most 64 strings, not {}",
                                  breakers.size()));
    }
  }
  if (sampling->dry_multiplier == 0 || (!given && sampling->dry_breakers_given)) return {};
  sampling->dry_breakers.clear();
  for (const std::string& breaker : breakers) {
    auto ids = tokenizer.Encode(breaker.substr(0, 256), false, false);
    if (!ids.empty()) sampling->dry_breakers.push_back(std::move(ids));
  }
  return {};
}

}  // namespace

Result<std::vector<SamplerStage>> ParseStages(const std::vector<std::string>& names) {
  std::vector<SamplerStage> stages;
  for (const std::string& name : names) {
    const auto* known = std::find_if(std::begin(kStages), std::end(kStages),
                                     [&](const Stage& s) { return s.name == name; });
    if (known == std::end(kStages)) {
      std::string all;
      for (const Stage& s : kStages) all += (all.empty() ? "" : ", ") + std::string(s.name);
      return BadField("samplers", fmt::format("samplers: unknown sampler {} (known: {})",
                                              Describe(json::string(name)), all));
    }
    stages.push_back(known->stage);
  }
  if (stages.size() > 32) return BadField("samplers", "samplers may name at most 32 stages");
  return stages;
}

const std::vector<std::string>& DefaultDryBreakers() {
  static const std::vector<std::string> breakers = {"\n", ":", "\"", "*"};
  return breakers;
}

std::string_view StageName(SamplerStage stage) {
  for (const Stage& known : kStages) {
    if (known.stage == stage) return known.name;
  }
  return {};
}

Result<void> ParseSampling(const Fields& fields, const text::Tokenizer& tokenizer, Dialect dialect,
                           SamplingParams* s) {
  LB_RETURN_IF_ERROR(fields.Read("temperature", &s->temperature, 0, kBig));
  LB_RETURN_IF_ERROR(fields.Read("dynatemp_range", &s->dynatemp_range, 0, kBig));
  LB_RETURN_IF_ERROR(fields.Read("dynatemp_exponent", &s->dynatemp_exponent, 0, kBig));
  // -1 is how other servers spell "off".
  LB_RETURN_IF_ERROR(fields.Read("top_k", &s->top_k, -1, kIntMax));
  if (s->top_k < 0) s->top_k = 0;
  LB_RETURN_IF_ERROR(fields.Read("top_p", &s->top_p, 0, 1));
  LB_RETURN_IF_ERROR(fields.Read("min_p", &s->min_p, 0, 1));
  LB_RETURN_IF_ERROR(fields.Read("typical_p", &s->typical_p, 0, 1));
  LB_RETURN_IF_ERROR(fields.Read("top_n_sigma", &s->top_n_sigma, -kBig, kBig));
  LB_RETURN_IF_ERROR(fields.Read("xtc_probability", &s->xtc_probability, 0, 1));
  LB_RETURN_IF_ERROR(fields.Read("xtc_threshold", &s->xtc_threshold, 0, 1));
  LB_RETURN_IF_ERROR(fields.Read("repeat_last_n", &s->repeat_last_n, -1, kIntMax));
  // Zero would divide by zero.
  LB_RETURN_IF_ERROR(fields.Read("repeat_penalty", &s->repeat_penalty, 0.01, 100));
  LB_RETURN_IF_ERROR(fields.Read("presence_penalty", &s->presence_penalty, -100, 100));
  LB_RETURN_IF_ERROR(fields.Read("frequency_penalty", &s->frequency_penalty, -100, 100));
  LB_RETURN_IF_ERROR(fields.Read("mirostat", &s->mirostat, 0, 2));
  LB_RETURN_IF_ERROR(fields.Read("mirostat_tau", &s->mirostat_tau, 0, kBig));
  LB_RETURN_IF_ERROR(fields.Read("mirostat_eta", &s->mirostat_eta, 0, kBig));
  LB_RETURN_IF_ERROR(ParseDry(fields, tokenizer, s));
  LB_RETURN_IF_ERROR(ParseLogitBias(fields, tokenizer, dialect, s));

  const json::value* samplers = fields.Find("samplers");
  if (samplers == nullptr) return {};
  LB_ASSIGN_OR_RETURN(std::vector<std::string> names, fields.Strings("samplers"));
  if (samplers->is_string()) {
    // The flag's spelling: names with semicolons between them.
    const std::string joined = names.empty() ? "" : names[0];
    names.clear();
    for (size_t at = 0; at <= joined.size();) {
      const size_t end = std::min(joined.find(';', at), joined.size());
      if (end > at) names.push_back(joined.substr(at, end - at));
      at = end + 1;
    }
  }
  LB_ASSIGN_OR_RETURN(s->stages, ParseStages(names));
  return {};
}

}  // namespace lb::api

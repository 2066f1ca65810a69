#include "api/generation_settings.h"

#include <limits>

namespace lb::api {

void WriteSampling(const SamplingParams& s, JsonWriter* w) {
  w->Key("temperature").Float(s.temperature);
  w->Key("dynatemp_range").Float(s.dynatemp_range);
  w->Key("dynatemp_exponent").Float(s.dynatemp_exponent);
  w->Key("top_k").Int(s.top_k);
  w->Key("top_p").Float(s.top_p);
  w->Key("min_p").Float(s.min_p);
  w->Key("top_n_sigma").Float(s.top_n_sigma);
  w->Key("xtc_probability").Float(s.xtc_probability);
  w->Key("xtc_threshold").Float(s.xtc_threshold);
  w->Key("typical_p").Float(s.typical_p);
  w->Key("repeat_last_n").Int(s.repeat_last_n);
  w->Key("repeat_penalty").Float(s.repeat_penalty);
  w->Key("presence_penalty").Float(s.presence_penalty);
  w->Key("frequency_penalty").Float(s.frequency_penalty);
  w->Key("dry_multiplier").Float(s.dry_multiplier);
  w->Key("dry_base").Float(s.dry_base);
  w->Key("dry_allowed_length").Int(s.dry_allowed_length);
  w->Key("dry_penalty_last_n").Int(s.dry_penalty_last_n);
  w->Key("mirostat").Int(s.mirostat);
  w->Key("mirostat_tau").Float(s.mirostat_tau);
  w->Key("mirostat_eta").Float(s.mirostat_eta);
}

void WriteGenerationSettings(const GenerationOptions& options, int n_probs,
                             const text::Tokenizer& tokenizer, JsonWriter* w) {
  const SamplingParams& s = options.sampling;
  w->BeginObject();
  w->Key("n_predict").Int(options.max_tokens).Key("max_tokens").Int(options.max_tokens);
  w->Key("seed").Int(static_cast<int64_t>(s.seed));
  WriteSampling(s, w);
  w->Key("dry_sequence_breakers").BeginArray();
  for (const auto& breaker : s.dry_breakers) w->String(tokenizer.Decode(breaker, true));
  if (!s.dry_breakers_given && s.dry_breakers.empty()) {
    for (const std::string& breaker : DefaultDryBreakers()) w->String(breaker);
  }
  w->EndArray();
  w->Key("samplers").BeginArray();
  for (const SamplerStage stage : s.stages) w->String(StageName(stage));
  w->EndArray();
  w->Key("logit_bias").BeginArray();
  const auto bias = [&](TokenId token, float value) {
    w->BeginObject().Key("token").Int(token).Key("bias").Float(value).EndObject();
  };
  for (const auto& [token, value] : s.logit_bias) bias(token, value);
  if (options.ignore_eos) {
    for (const TokenId token : tokenizer.special().end_of_generation) {
      bias(token, -std::numeric_limits<float>::infinity());
    }
  }
  w->EndArray();
  w->Key("stop").BeginArray();
  for (const std::string& stop : options.stop) w->String(stop);
  w->EndArray();
  w->Key("ignore_eos").Bool(options.ignore_eos);
  w->Key("n_keep").Int(options.keep);
  w->Key("stream").Bool(options.stream);
  w->Key("n_probs").Int(n_probs);
  w->Key("post_sampling_probs").Bool(s.logprobs_after_sampling);
  w->Key("timings_per_token").Bool(options.timings_per_token);
  const bool is_gbnf = options.constraint.kind == grammar::Constraint::Kind::kGbnf;
  w->Key("grammar").String(is_gbnf ? options.constraint.text : std::string());
  w->Key("lora").BeginArray();
  for (const AdapterUse& use : options.adapters) {
    w->BeginObject().Key("id").Int(use.adapter).Key("scale").Float(use.scale).EndObject();
  }
  w->EndArray();
  // What this server does not have, in the state that means off.
  w->Key("n_discard").Int(0).Key("min_keep").Int(0);
  w->Key("adaptive_target").Raw("-1.0").Key("adaptive_decay").Raw("0.9");
  w->EndObject();
}

}  // namespace lb::api

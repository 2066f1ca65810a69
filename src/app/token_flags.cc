#include "app/token_flags.h"

#include <charconv>
#include <cmath>

namespace lb::app {

Result<void> ReadTokenFlags(const Flags& flags, const text::Tokenizer& tokenizer,
                            SamplingParams* sampling) {
  for (const std::string& text : flags.logit_bias) {
    const char* end = text.data() + text.size();
    int64_t id = 0;
    float bias = 0;
    const auto [rest, id_error] = std::from_chars(text.data(), end, id);
    const char* number = rest != end && *rest == '+' ? rest + 1 : rest;  // from_chars reads no plus
    const auto [last, bias_error] = std::from_chars(number, end, bias);
    if (id_error != std::errc() || bias_error != std::errc() || rest == end || last != end ||
        (*rest != '+' && *rest != '-') || std::isnan(bias) || id < 0 ||
        id >= tokenizer.num_tokens()) {
      return Fail(ErrorCode::kInvalidArgument,
                  "--logit-bias must be TOKEN+BIAS or TOKEN-BIAS with a token below {}, not {}",
                  tokenizer.num_tokens(), text);
    }
    sampling->logit_bias.emplace_back(static_cast<TokenId>(id), bias);
  }
  // "none" clears what was there, the usual ones too, as with llama.cpp.
  sampling->dry_breakers_given = !flags.dry_breakers.empty();
  for (const std::string& breaker : flags.dry_breakers) {
    if (breaker == "none") {
      sampling->dry_breakers.clear();
      continue;
    }
    auto ids = tokenizer.Encode(breaker, false, false);
    if (!ids.empty()) sampling->dry_breakers.push_back(std::move(ids));
  }
  return {};
}

}  // namespace lb::app

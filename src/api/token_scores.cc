#include "api/token_scores.h"

namespace lb::api {
namespace {

void WriteToken(TokenId id, float logprob, const text::Tokenizer& tokenizer, JsonWriter* w) {
  w->Key("token").String(tokenizer.TokenBytes(id, true));
  w->Key("logprob").Float(logprob);
  w->Key("bytes").BeginArray();
  for (const char c : tokenizer.TokenBytes(id, false)) w->Int(static_cast<unsigned char>(c));
  w->EndArray();
}

}  // namespace

void WriteTokenScores(const std::vector<TokenScore>& scores, const text::Tokenizer& tokenizer,
                      JsonWriter* w) {
  w->BeginArray();
  for (const TokenScore& score : scores) {
    w->BeginObject();
    WriteToken(score.token, score.logprob, tokenizer, w);
    w->Key("top_logprobs").BeginArray();
    for (const TokenLogprob& other : score.top) {
      w->BeginObject();
      WriteToken(other.token, other.logprob, tokenizer, w);
      w->EndObject();
    }
    w->EndArray().EndObject();
  }
  w->EndArray();
}

}  // namespace lb::api

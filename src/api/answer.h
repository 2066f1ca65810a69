// One answer as it grows: token events in, text that is certain out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/stop_strings.h"
#include "engine/request.h"
#include "text/detokenizer.h"

namespace lb::api {

// A token of the answer, with the model's own log probabilities.
struct TokenScore {
  TokenId token = 0;
  float logprob = 0;
  std::vector<TokenLogprob> top;  // best first
  size_t char_offset = 0;         // code points of the answer before it
};

// What became certain at once. A score comes with the piece that holds its token's first byte.
struct Piece {
  std::string text;
  std::vector<TokenScore> scores;
  bool empty() const { return text.empty() && scores.empty(); }
};

struct AnswerOptions {
  std::vector<std::string> stop;
  bool with_logprobs = false;
  bool discard_tokens = false;  // max_tokens 0: the engine was asked for one, the client for none
};

// Plain and streamed replies are built from the same pieces, so they hold the same bytes. Joined,
// the pieces are valid UTF-8. I/O threads, one at a time; `now_ms` comes from one steady clock.
class Answer {
 public:
  Answer(const text::Tokenizer& tokenizer, const AnswerOptions& options, double now_ms);

  // Events after the end are ignored.
  Piece Push(const TokenEvent& event, double now_ms);

  bool admitted() const { return admitted_; }
  bool finished() const { return finish_.has_value() || failed(); }
  // A stop string was found while the engine still generates: drop the stream.
  bool stopped_early() const { return stops_.matched(); }
  bool failed() const { return error_.has_value(); }
  const Error& error() const { return *error_; }
  FinishReason finish() const { return *finish_; }
  // "stop" or "length".
  std::string_view finish_text() const;

  // Prompt counts are those of the admission. Completion tokens are all that were taken, the one
  // that completed a stop string included.
  const Usage& usage() const { return usage_; }
  // Submit to first token, and first token to last, as seen here.
  double first_token_ms() const { return first_token_ms_ - submitted_ms_; }
  double decode_ms() const { return last_token_ms_ - first_token_ms_; }

 private:
  struct Pending {
    TokenScore score;
    size_t byte_offset = 0;  // bytes of the decoded text before it
  };

  void TakeToken(const TokenEvent& event, Piece* piece);
  void Emit(std::string_view decoded, Piece* piece);
  void End(Piece* piece);
  void ReleaseScores(bool all, Piece* piece);

  AnswerOptions options_;
  text::Detokenizer detokenizer_;
  StopStrings stops_;
  std::vector<Pending> pending_;
  size_t decoded_bytes_ = 0, decoded_chars_ = 0;
  size_t emitted_bytes_ = 0;
  bool admitted_ = false;
  std::optional<FinishReason> finish_;
  std::optional<Error> error_;
  Usage usage_;
  double submitted_ms_ = 0, first_token_ms_ = 0, last_token_ms_ = 0;
};

}  // namespace lb::api

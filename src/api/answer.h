// One answer as it grows: token events in, text that is certain out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/reasoning/format.h"
#include "api/stop_strings.h"
#include "api/tools/format.h"
#include "engine/request.h"
#include "text/detokenizer.h"

namespace lb::api {

// A token of the answer's content, with the model's own log probabilities if they were asked for.
struct TokenScore {
  TokenId token = 0;
  float logprob = 0;
  std::vector<TokenLogprob> top;  // best first
  size_t char_offset = 0;         // code points of the content before it
};

// What became certain at once. A score comes with the piece that holds its token's first byte.
struct Piece {
  std::string reasoning;
  std::string text;
  std::vector<TokenScore> scores;
  std::vector<ToolCallDelta> calls;
  bool empty() const {
    return reasoning.empty() && text.empty() && scores.empty() && calls.empty();
  }
};

struct AnswerOptions {
  std::vector<std::string> stop;
  bool discard_tokens = false;  // max_tokens 0: the engine was asked for one, the client for none
  bool keep_whole = false;      // for a plain reply: see Answer::whole
  bool show_control = false;    // control tokens are text
  int64_t max_predict_ms = 0;   // ends the answer this long after its first token, once it has a
                                // line break; 0: never
  ReasoningFormat reasoning;    // Kind::kNone: all is content
  std::string opened;           // of reasoning, by the prompt: see OpenedByPrompt
  std::vector<TokenId> shown;   // control tokens that are text in any case
  ToolParsing tools;            // without a format all is content
};

// Plain and streamed replies are built from the same pieces, so they hold the same bytes. Joined,
// the pieces are valid UTF-8. Stop strings are looked for in the content only. I/O threads, one at
// a time; `now_ms` comes from one steady clock.
class Answer {
 public:
  Answer(const text::Tokenizer& tokenizer, const AnswerOptions& options, double now_ms);

  // Events after the end are ignored.
  Piece Push(const TokenEvent& event, double now_ms);

  bool admitted() const { return admitted_; }
  // Of the prompt, what was cached included; told only when the request asked for progress.
  int64_t computed_tokens() const { return computed_tokens_; }
  // Of the prompt, computed for this request so far.
  int64_t prefilled_tokens() const;
  bool finished() const { return finish_.has_value() || failed(); }
  bool failed() const { return error_.has_value(); }
  const Error& error() const { return *error_; }
  FinishReason finish() const { return *finish_; }
  // "tool_calls", "stop" or "length".
  std::string_view finish_text() const;
  // The stop string that ended it, or "".
  const std::string& stopping_word() const { return stops_.match(); }
  // All pieces so far as one, when keep_whole; but for the calls, which are below.
  const Piece& whole() const { return whole_; }
  // As far as they came.
  const std::vector<ToolCall>& calls() const { return calls_; }

  // A thought was begun; it is not over, so there is no content yet.
  bool has_reasoning() const { return splitter_ != nullptr && splitter_->has_reasoning(); }
  bool thinking() const { return splitter_ != nullptr && splitter_->thinking(); }
  bool has_new_line() const { return has_new_line_; }
  bool out_of_time() const { return out_of_time_; }  // max_predict_ms ended it
  // It is finished while the engine still generates.
  bool stopped_early() const { return stops_.matched() || out_of_time_ || calls_done_; }

  // Prompt counts are those of the admission. Completion tokens are all that were taken, the one
  // that completed a stop string included.
  const Usage& usage() const { return usage_; }
  // Those of the above that are no content: thoughts and their marks.
  int reasoning_tokens() const { return reasoning_tokens_; }
  // Of all content tokens, when scores are there; 0 without any.
  double mean_logprob() const;
  // Submit to first token.
  double first_token_ms() const { return first_token_ms_ - submitted_ms_; }
  // Admission to first token (before it, to the last progress), and first token to last: the
  // engine's figures where it gave them, else as seen here.
  double prefill_ms() const;
  double decode_ms() const;

 private:
  struct Pending {
    TokenScore score;
    size_t offset = 0;  // bytes before its first one: of the decoded text, later of the content
  };

  void TakeToken(const TokenEvent& event, double now_ms, Piece* piece);
  void Route(std::string_view decoded, Piece* piece);
  void TakeSegments(std::vector<Segment> segments, Piece* piece);
  void TakeCalls(ToolOutput output, Piece* piece);
  void TakeClassified(const Segment& segment, Piece* piece);
  void Classify(const Segment& segment);
  void TakeContent(std::string_view text, Piece* piece);
  void End(Piece* piece);
  void ReleaseScores(bool all, Piece* piece);
  void Keep(const Piece& piece);

  AnswerOptions options_;
  text::Detokenizer detokenizer_;
  std::unique_ptr<ReasoningSplitter> splitter_;  // null: none
  std::unique_ptr<ToolParser> tool_parser_;      // null: no calls
  StopStrings stops_;
  std::vector<Pending> unclassified_;  // offsets in the decoded text
  std::vector<Pending> pending_;       // offsets in the content
  size_t decoded_bytes_ = 0, classified_bytes_ = 0;
  size_t content_bytes_ = 0, content_chars_ = 0, emitted_bytes_ = 0;
  bool admitted_ = false, has_new_line_ = false, out_of_time_ = false, calls_done_ = false;
  bool ends_in_call_ = false;  // what was classified last is of a call
  std::optional<FinishReason> finish_;
  std::optional<Error> error_;
  Usage usage_;
  bool prefilling_ = true;  // no token yet
  int64_t computed_tokens_ = 0;
  int reasoning_tokens_ = 0;
  double logprob_sum_ = 0;
  int logprob_count_ = 0;
  Piece whole_;
  std::vector<ToolCall> calls_;
  double submitted_ms_, admitted_ms_, first_token_ms_, last_token_ms_, progress_ms_;
};

using Answers = std::span<const Answer>;

}  // namespace lb::api

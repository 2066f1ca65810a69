#include "api/answer.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace lb::api {
namespace {

size_t CountCodePoints(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

Answer::Answer(const text::Tokenizer& tokenizer, const AnswerOptions& options, double now_ms)
    : options_(options), detokenizer_(tokenizer, false), stops_(options.stop),
      submitted_ms_(now_ms), first_token_ms_(now_ms), last_token_ms_(now_ms) {}

Piece Answer::Push(const TokenEvent& event, double now_ms) {
  Piece piece;
  if (finished()) return piece;
  switch (event.kind) {
    case TokenEvent::Kind::kAdmitted:
      admitted_ = true;
      usage_ = event.usage;
      usage_.completion_tokens = 0;
      break;
    case TokenEvent::Kind::kToken:
      if (usage_.completion_tokens == 0) first_token_ms_ = now_ms;
      last_token_ms_ = now_ms;
      if (options_.discard_tokens) break;
      ++usage_.completion_tokens;
      TakeToken(event, &piece);
      break;
    case TokenEvent::Kind::kShifted:
      usage_.context_shifts = event.usage.context_shifts;
      usage_.dropped_tokens = event.usage.dropped_tokens;
      break;
    case TokenEvent::Kind::kFinished: {
      const int tokens = usage_.completion_tokens;
      usage_ = event.usage;
      usage_.completion_tokens = tokens;
      if (event.reason == FinishReason::kCancelled || event.reason == FinishReason::kError) {
        error_ = Error{ErrorCode::kCancelled, "the request was cancelled", {}};
        break;
      }
      finish_ = options_.discard_tokens ? FinishReason::kLength : event.reason;
      End(&piece);
      break;
    }
    case TokenEvent::Kind::kFailed:
      error_ = event.error;
      break;
  }
  return piece;
}

void Answer::TakeToken(const TokenEvent& event, Piece* piece) {
  if (options_.with_logprobs) {
    pending_.push_back({{event.token, event.logprob, event.top, decoded_chars_}, decoded_bytes_});
  }
  Emit(detokenizer_.Push(event.token), piece);
  if (stops_.matched()) {
    finish_ = FinishReason::kStop;
    ReleaseScores(false, piece);
  }
}

void Answer::Emit(std::string_view decoded, Piece* piece) {
  decoded_bytes_ += decoded.size();
  decoded_chars_ += CountCodePoints(decoded);
  const std::string certain = stops_.Push(decoded);
  emitted_bytes_ += certain.size();
  piece->text += certain;
  ReleaseScores(false, piece);
}

void Answer::End(Piece* piece) {
  // An unfinished character may still complete a stop string: as U+FFFD it is text like any other.
  Emit(detokenizer_.Flush(), piece);
  if (stops_.matched()) {
    finish_ = FinishReason::kStop;
    ReleaseScores(false, piece);
    return;
  }
  const std::string rest = stops_.Flush();
  emitted_bytes_ += rest.size();
  piece->text += rest;
  ReleaseScores(true, piece);
}

void Answer::ReleaseScores(bool all, Piece* piece) {
  size_t ready = 0;
  while (ready < pending_.size() && (all || pending_[ready].byte_offset < emitted_bytes_)) ++ready;
  for (size_t i = 0; i < ready; ++i) piece->scores.push_back(std::move(pending_[i].score));
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(ready));
}

std::string_view Answer::finish_text() const {
  return finish_ == FinishReason::kLength ? "length" : "stop";
}

}  // namespace lb::api

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
    : options_(options),
      detokenizer_(tokenizer, options.show_control, options.shown),
      splitter_(MakeSplitter(options.reasoning, options.opened, options.tools.format != nullptr)),
      tool_parser_(MakeToolParser(options_.tools)),
      stops_(options.stop),
      submitted_ms_(now_ms),
      admitted_ms_(now_ms),
      first_token_ms_(now_ms),
      last_token_ms_(now_ms),
      progress_ms_(now_ms) {}

Piece Answer::Push(const TokenEvent& event, double now_ms) {
  Piece piece;
  if (finished()) return piece;
  switch (event.kind) {
    case TokenEvent::Kind::kAdmitted:
      admitted_ = true;
      admitted_ms_ = now_ms;
      usage_ = event.usage;
      usage_.completion_tokens = 0;
      computed_tokens_ = usage_.cached_tokens;
      progress_ms_ = now_ms;
      break;
    case TokenEvent::Kind::kProgress:
      computed_tokens_ = event.computed;
      progress_ms_ = now_ms;
      break;
    case TokenEvent::Kind::kToken:
      if (usage_.completion_tokens == 0) first_token_ms_ = now_ms;
      last_token_ms_ = now_ms;
      prefilling_ = false;
      if (options_.discard_tokens) break;
      ++usage_.completion_tokens;
      TakeToken(event, now_ms, &piece);
      break;
    case TokenEvent::Kind::kShifted:
      usage_.context_shifts = event.usage.context_shifts;
      usage_.dropped_tokens = event.usage.dropped_tokens;
      break;
    case TokenEvent::Kind::kFinished: {
      prefilling_ = false;
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
  for (const ToolCallDelta& delta : piece.calls) AddDelta(delta, &calls_);
  if (options_.keep_whole) Keep(piece);
  return piece;
}

void Answer::Keep(const Piece& piece) {
  whole_.reasoning += piece.reasoning;
  whole_.text += piece.text;
  whole_.scores.insert(whole_.scores.end(), piece.scores.begin(), piece.scores.end());
}

void Answer::TakeToken(const TokenEvent& event, double now_ms, Piece* piece) {
  unclassified_.push_back({{event.token, event.logprob, event.top, 0}, decoded_bytes_});
  Route(detokenizer_.Push(event.token), piece);
  if (stops_.matched()) {
    finish_ = FinishReason::kStop;
  } else if (options_.max_predict_ms > 0 && has_new_line_ &&
             now_ms - first_token_ms_ > static_cast<double>(options_.max_predict_ms)) {
    out_of_time_ = true;
    finish_ = FinishReason::kLength;
    End(piece);
  } else if (tool_parser_ != nullptr && tool_parser_->done()) {
    calls_done_ = true;
    finish_ = FinishReason::kStop;
    End(piece);
  }
}

void Answer::Route(std::string_view decoded, Piece* piece) {
  decoded_bytes_ += decoded.size();
  if (splitter_ != nullptr) {
    TakeSegments(splitter_->Push(decoded), piece);
  } else if (!decoded.empty()) {
    TakeSegments({{SegmentKind::kContent, std::string(decoded)}}, piece);
  }
}

void Answer::TakeSegments(std::vector<Segment> segments, Piece* piece) {
  for (const Segment& segment : segments) {
    if (tool_parser_ == nullptr) {
      TakeClassified(segment, piece);
    } else {
      ToolOutput output;
      if (segment.kind == SegmentKind::kContent) {
        tool_parser_->Push(segment.text, &output);
      } else {
        // No call goes on behind a thought or a mark.
        tool_parser_->Flush(true, &output);
      }
      TakeCalls(std::move(output), piece);
      if (segment.kind != SegmentKind::kContent) TakeClassified(segment, piece);
    }
    if (stops_.matched()) return;
  }
}

void Answer::TakeCalls(ToolOutput output, Piece* piece) {
  for (const Segment& segment : output.segments) {
    TakeClassified(segment, piece);
    if (stops_.matched()) return;
  }
  piece->calls.insert(piece->calls.end(), std::make_move_iterator(output.deltas.begin()),
                      std::make_move_iterator(output.deltas.end()));
}

void Answer::TakeClassified(const Segment& segment, Piece* piece) {
  Classify(segment);
  if (segment.kind == SegmentKind::kReasoning) piece->reasoning += segment.text;
  if (segment.kind == SegmentKind::kContent) TakeContent(segment.text, piece);
}

// Moves the tokens that begin in `segment`, the next of the decoded text, to where they belong.
void Answer::Classify(const Segment& segment) {
  const size_t end = classified_bytes_ + segment.text.size();
  size_t taken = 0;
  for (; taken < unclassified_.size() && unclassified_[taken].offset < end; ++taken) {
    Pending& token = unclassified_[taken];
    if (segment.kind != SegmentKind::kContent) {
      if (segment.kind != SegmentKind::kCall) ++reasoning_tokens_;
      continue;
    }
    // Tokens without bytes of their own may lie before the segment.
    const size_t inside = std::max(token.offset, classified_bytes_) - classified_bytes_;
    token.offset = content_bytes_ + inside;
    token.score.char_offset =
        content_chars_ + CountCodePoints(std::string_view(segment.text).substr(0, inside));
    logprob_sum_ += static_cast<double>(token.score.logprob);
    ++logprob_count_;
    pending_.push_back(std::move(token));
  }
  unclassified_.erase(unclassified_.begin(),
                      unclassified_.begin() + static_cast<std::ptrdiff_t>(taken));
  classified_bytes_ = end;
  ends_in_call_ = segment.kind == SegmentKind::kCall;
}

void Answer::TakeContent(std::string_view text, Piece* piece) {
  content_bytes_ += text.size();
  content_chars_ += CountCodePoints(text);
  const std::string certain = stops_.Push(text);
  emitted_bytes_ += certain.size();
  has_new_line_ |= certain.find('\n') != std::string::npos;
  piece->text += certain;
  ReleaseScores(false, piece);
}

void Answer::End(Piece* piece) {
  // An unfinished character may still complete a stop string: as U+FFFD it is text like any other.
  Route(detokenizer_.Flush(), piece);
  if (splitter_ != nullptr && !stops_.matched()) TakeSegments(splitter_->Flush(), piece);
  if (tool_parser_ != nullptr && !stops_.matched()) {
    ToolOutput output;
    tool_parser_->Flush(finish_ != FinishReason::kLength, &output);
    TakeCalls(std::move(output), piece);
  }
  if (stops_.matched()) {
    finish_ = FinishReason::kStop;
    return;
  }
  const std::string rest = stops_.Flush();
  emitted_bytes_ += rest.size();
  has_new_line_ |= rest.find('\n') != std::string::npos;
  piece->text += rest;
  // Tokens without bytes at the very end.
  for (Pending& token : unclassified_) {
    if (thinking()) ++reasoning_tokens_;
    if (thinking() || ends_in_call_) continue;
    token.score.char_offset = content_chars_;
    pending_.push_back(std::move(token));
  }
  unclassified_.clear();
  ReleaseScores(true, piece);
}

void Answer::ReleaseScores(bool all, Piece* piece) {
  size_t ready = 0;
  while (ready < pending_.size() && (all || pending_[ready].offset < emitted_bytes_)) ++ready;
  for (size_t i = 0; i < ready; ++i) piece->scores.push_back(std::move(pending_[i].score));
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(ready));
}

std::string_view Answer::finish_text() const {
  if (finish_ == FinishReason::kLength) return "length";
  return calls_.empty() ? "stop" : "tool_calls";
}

double Answer::mean_logprob() const {
  return logprob_count_ == 0 ? 0.0 : logprob_sum_ / logprob_count_;
}

int64_t Answer::prefilled_tokens() const {
  return (prefilling_ ? computed_tokens_ : usage_.prompt_tokens) - usage_.cached_tokens;
}

double Answer::prefill_ms() const {
  if (prefilling_) return progress_ms_ - admitted_ms_;
  return usage_.prefill_ms > 0 ? usage_.prefill_ms : first_token_ms_ - admitted_ms_;
}

double Answer::decode_ms() const {
  return usage_.decode_ms > 0 ? usage_.decode_ms : last_token_ms_ - first_token_ms_;
}

}  // namespace lb::api

#include "api/generation.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace lb::api {
namespace {

double NowMs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(now).count();
}

}  // namespace

Generation::Generation(GenerationSetup setup, const text::Tokenizer& tokenizer)
    : stream_(setup.stream),
      progress_(setup.progress),
      writer_(std::move(setup.writer)),
      streams_(std::move(setup.streams)),
      start_written_(streams_.size(), false) {
  setup.answer.keep_whole = !stream_;
  const double now = NowMs();
  answers_.reserve(streams_.size());
  for (size_t i = 0; i < streams_.size(); ++i) {
    answers_.emplace_back(tokenizer, setup.answer, now);
  }
}

Generation::~Generation() = default;

void Generation::OnReady(const std::function<void()>& wake) {
  for (const auto& stream : streams_) {
    if (stream != nullptr) stream->OnReady(wake);
  }
}

void Generation::Fail(Error error) {
  if (done_ || error_) return;
  error_ = std::move(error);
  for (auto& stream : streams_) stream.reset();
}

bool Generation::Advance(std::string* out) {
  if (done_) return true;
  for (size_t i = 0; i < streams_.size() && !error_; ++i) TakeEvents(i, out);
  const bool all = std::all_of(answers_.begin(), answers_.end(),
                               [](const Answer& answer) { return answer.finished(); });
  if (!error_ && !all) return false;
  done_ = true;
  for (auto& stream : streams_) stream.reset();
  if (stream_) error_ ? writer_->Fail(*error_, out) : writer_->End(answers_, out);
  return true;
}

void Generation::TakeEvents(size_t index, std::string* out) {
  if (streams_[index] == nullptr) return;
  Answer& answer = answers_[index];
  const int choice = static_cast<int>(index);
  const double now = NowMs();
  for (const TokenEvent& event : streams_[index]->Take()) {
    const Piece piece = answer.Push(event, now);
    if (answer.failed()) {
      error_ = answer.error();
      return;
    }
    if (stream_) {
      started_ = true;
      if (!start_written_[index]) writer_->Start(answers_, choice, out);
      start_written_[index] = true;
      if (progress_ && (event.kind == TokenEvent::Kind::kAdmitted ||
                        event.kind == TokenEvent::Kind::kProgress)) {
        writer_->Progress(answers_, choice, out);
      }
      if (!piece.empty()) writer_->Write(answers_, choice, piece, out);
    }
    if (answer.finished()) break;
  }
  if (!answer.finished()) return;
  if (answer.stopped_early()) streams_[index]->Finish();
  streams_[index].reset();
  if (stream_) writer_->Finish(answers_, choice, out);
}

}  // namespace lb::api

// A request being answered: its answers, and the reply they grow into.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/answer.h"
#include "api/reply_writer.h"
#include "engine/engine_client.h"

namespace lb::api {

struct GenerationSetup {
  bool stream = false;
  bool progress = false;  // streamed: tell how far each prompt is
  AnswerOptions answer;
  std::unique_ptr<ReplyWriter> writer;
  // One for each answer, prompt-major; already submitted.
  std::vector<std::unique_ptr<TokenStream>> streams;
};

// Driven by one thread at a time: wait for the wake-up, Advance, send, until Advance says it is
// done. Destroying it cancels what still runs.
class Generation {
 public:
  // `tokenizer` must outlive this.
  Generation(GenerationSetup setup, const text::Tokenizer& tokenizer);
  ~Generation();

  bool streamed() const { return stream_; }
  std::string_view content_type() const { return writer_->content_type(); }
  std::string_view filler() const { return writer_->filler(); }
  // `wake` is called from any thread when Advance has something to do; see TokenStream::OnReady.
  void OnReady(const std::function<void()>& wake);
  // Takes what has happened. When streamed, appends whole events to `*out`. True when
  // the reply is complete.
  bool Advance(std::string* out);
  // Ends it from outside (shutdown): the next Advance is the last.
  void Fail(Error error);

  // What went wrong, if anything. As long as `started()` is false nothing was streamed, and the
  // error can still become a status of its own.
  const std::optional<Error>& error() const { return error_; }
  bool started() const { return started_; }
  // The plain reply; valid when Advance said done and there is no error.
  std::string Body() const { return writer_->Whole(answers_); }

 private:
  void TakeEvents(size_t index, std::string* out);

  const bool stream_, progress_;
  std::unique_ptr<ReplyWriter> writer_;
  std::vector<std::unique_ptr<TokenStream>> streams_;  // null: ended
  std::vector<Answer> answers_;                        // of the same index
  std::vector<bool> start_written_;
  std::optional<Error> error_;
  bool started_ = false;
  bool done_ = false;
};

}  // namespace lb::api

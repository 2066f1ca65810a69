// A request being answered: its answers, and the reply they grow into.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/answer.h"
#include "api/pending_reply.h"
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

class Generation final : public PendingReply {
 public:
  // `tokenizer` must outlive this.
  Generation(GenerationSetup setup, const text::Tokenizer& tokenizer);
  ~Generation() override;

  bool streamed() const override { return stream_; }
  std::string_view content_type() const override { return writer_->content_type(); }
  std::string_view filler() const override { return writer_->filler(); }
  void OnReady(const std::function<void()>& wake) override;
  bool Advance(std::string* out) override;
  void Fail(Error error) override;
  const std::optional<Error>& error() const override { return error_; }
  bool started() const override { return started_; }
  std::string Body() const override { return writer_->Whole(answers_); }

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

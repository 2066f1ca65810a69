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
  std::string model;       // answered back
  bool stream = false;
  bool include_usage = false;
  int answers_per_prompt = 1;
  AnswerOptions answer;
  std::unique_ptr<ReplyWriter> writer;
  // One for each choice, prompt-major; already submitted.
  std::vector<std::unique_ptr<TokenStream>> streams;
};

// Driven by one thread at a time: wait for the wake-up, Advance, send, until Advance says it is
// done. Destroying it cancels what still runs.
class Generation {
 public:
  // `tokenizer` must outlive this.
  Generation(GenerationSetup setup, const text::Tokenizer& tokenizer);
  ~Generation();

  bool streamed() const { return setup_.stream; }
  // `wake` is called from any thread when Advance has something to do; see TokenStream::OnReady.
  void OnReady(const std::function<void()>& wake);
  // Takes what has happened. When streamed, appends whole server-sent events to `*out`, the last
  // of them `[DONE]`. True when the reply is complete.
  bool Advance(std::string* out);
  // Ends it from outside (shutdown): the next Advance is the last.
  void Fail(Error error);

  // What went wrong, if anything. As long as `started()` is false nothing was streamed, and the
  // error can still become a status of its own.
  const std::optional<Error>& error() const { return error_; }
  bool started() const { return started_; }
  // The plain reply; valid when Advance said done and there is no error.
  std::string Body() const;


 private:
  struct Choice {
    std::unique_ptr<TokenStream> stream;
    Answer answer;
    Piece whole;  // of a plain reply
    bool start_written = false;
    bool finish_written = false;
  };

  void TakeEvents(int index, std::string* out);
  void BeginChunk(JsonWriter* w) const;
  // `shifts` and `dropped`: of the choice that ends with this chunk.
  void EndChunk(JsonWriter* w, std::string* out, int shifts = 0, int64_t dropped = 0);
  static void WriteShifts(int times, int64_t dropped, JsonWriter* w);
  // Of choice 0 between two tokens; 0 when unknown.
  double token_seconds() const;
  void WriteStart(int index, std::string* out);
  void WriteUsage(JsonWriter* w) const;
  void WriteHead(std::string_view object, JsonWriter* w) const;

  GenerationSetup setup_;
  std::string id_;
  int64_t created_ = 0;
  std::vector<Choice> choices_;
  std::optional<Error> error_;
  bool started_ = false;
  bool done_ = false;
};

}  // namespace lb::api

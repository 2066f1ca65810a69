// The form of one endpoint's replies. Generation says what happens, a writer how it is told.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/json_writer.h"
#include "api/random_id.h"
#include "text/tokenizer.h"

namespace lb::api {

// One per reply. Start to End append whole events to `*out`; for each choice they come in the order
// Start, Progress ..., Write ..., Finish.
class ReplyWriter {
 public:
  virtual ~ReplyWriter() = default;
  // Of the streamed form: its kind, and what may fill a silence anywhere between two events.
  virtual std::string_view content_type() const { return "text/event-stream"; }
  virtual std::string_view filler() const { return ": waiting\n\n"; }
  virtual void Start(Answers answers, int index, std::string* out) = 0;
  virtual void Progress(Answers answers, int index, std::string* out) = 0;
  virtual void Write(Answers answers, int index, const Piece& piece, std::string* out) = 0;
  virtual void Finish(Answers answers, int index, std::string* out) = 0;
  virtual void End(Answers answers, std::string* out) = 0;      // all choices are finished
  virtual void Fail(const Error& error, std::string* out) = 0;  // instead of End
  // The plain form: a body.
  virtual std::string Whole(Answers answers) const = 0;
};

// A server-sent event; `name` "": without one.
void AppendEvent(std::string_view json, std::string* out, std::string_view name = {});

int64_t NowUnix();

// A call's arguments as an object; {} where they are none, as when the answer was cut inside them.
void WriteArguments(const ToolCall& call, JsonWriter* w);

// "timings" as llama.cpp has them, of one answer: rates leave out the first token, which comes out
// of the prompt's own computation.
void WriteTimings(const Answer& answer, JsonWriter* w);
// "prompt_progress" as llama.cpp has it: tokens of the prompt, and milliseconds.
void WriteProgress(const Answer& answer, JsonWriter* w);

// What both of OpenAI's endpoints answer around their choices.
struct OpenAiReply {
  std::string model;        // answered back
  std::string fingerprint;  // of this program
  int answers_per_prompt = 1;
  int kept_per_prompt = 1;  // of these the most probable ones are shown (best_of)
  bool with_logprobs = false;
  // Streamed usage: true, in an event of its own without choices; false, none; unset, in the event
  // with the last finish_reason, as llama-box did.
  std::optional<bool> include_usage;
  bool timings_per_token = false;
  std::string verbose;  // JSON of "__verbose"; "": none
};

std::unique_ptr<ReplyWriter> MakeChatWriter(const text::Tokenizer& tokenizer, OpenAiReply reply);
// `echo[p]` goes before the answers to prompt p; empty: no echo.
std::unique_ptr<ReplyWriter> MakeCompletionWriter(const text::Tokenizer& tokenizer,
                                                  OpenAiReply reply, std::vector<std::string> echo);

// What llama.cpp's endpoints answer beside the text.
struct NativeReply {
  std::string model;
  std::string settings;              // JSON of "generation_settings"
  std::vector<std::string> prompts;  // their text, in order
  int answers_per_prompt = 1;
  int n_probs = 0;              // 0: no probabilities
  bool after_sampling = false;  // they are those of the draw
  bool return_tokens = false;
  bool timings_per_token = false;
  int64_t max_tokens = -1;          // what was asked for, to tell it from the context's end
  std::vector<std::string> fields;  // of response_fields; empty: all
};
std::unique_ptr<ReplyWriter> MakeNativeWriter(const text::Tokenizer& tokenizer, NativeReply reply);

}  // namespace lb::api

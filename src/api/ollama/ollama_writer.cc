#include "api/ollama/ollama_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <span>
#include <utility>

#include "api/errors.h"
#include "api/token_scores.h"

namespace lb::api {
namespace {

std::string Utc(int64_t unix_seconds, int64_t nanoseconds) {
  const std::time_t seconds = unix_seconds;
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, nanoseconds);
}

int64_t Nanoseconds(double ms) { return std::llround(std::max(0.0, ms) * 1e6); }

class OllamaWriter final : public ReplyWriter {
 public:
  OllamaWriter(const text::Tokenizer& tokenizer, OllamaReply reply)
      : tokenizer_(tokenizer), reply_(std::move(reply)) {}

  std::string_view content_type() const override { return "application/x-ndjson"; }
  // Blanks before the next line's object: for its reader they are not there.
  std::string_view filler() const override { return " "; }

  void Start(Answers, int, std::string*) override {}
  void Progress(Answers, int, std::string*) override {}

  void Write(Answers answers, int index, const Piece& piece, std::string* out) override {
    const std::vector<ToolCall>& calls = answers[static_cast<size_t>(index)].calls();
    // A call has arguments of its own form here, so it is told when it is complete.
    if (!calls.empty()) TellCalls(calls, calls.size() - 1, out);
    if (piece.text.empty() && piece.reasoning.empty() &&
        !(reply_.with_logprobs && !piece.scores.empty())) {
      return;
    }
    JsonWriter w;
    Begin(piece, {}, &w);
    w.Key("done").Bool(false);
    AppendLine(&w, out);
  }

  void Finish(Answers answers, int index, std::string* out) override {
    const Answer& answer = answers[static_cast<size_t>(index)];
    TellCalls(answer.calls(), answer.calls().size(), out);
    JsonWriter w;
    Begin({}, {}, &w);
    WriteEnd(answer, &w);
    AppendLine(&w, out);
  }

  void End(Answers answers, std::string* out) override {
    if (answers.empty()) *out += Whole(answers) + "\n";
  }

  void Fail(const Error& error, std::string* out) override {
    *out += ErrorJson(error, ErrorForm::kOllama) + "\n";
  }

  std::string Whole(Answers answers) const override {
    JsonWriter w;
    answers.empty() ? Begin({}, {}, &w)
                    : Begin(answers.front().whole(), answers.front().calls(), &w);
    if (answers.empty()) {
      w.Key("done").Bool(true).Key("done_reason").String(reply_.empty_reason);
    } else {
      WriteEnd(answers.front(), &w);
    }
    return w.EndObject().Take();
  }

 private:
  static void AppendLine(JsonWriter* w, std::string* out) { *out += w->EndObject().text() + "\n"; }

  // The calls up to `end` that were not told yet.
  void TellCalls(std::span<const ToolCall> calls, size_t end, std::string* out) {
    if (told_calls_ >= end) return;
    JsonWriter w;
    Begin({}, calls.subspan(told_calls_, end - told_calls_), &w);
    w.Key("done").Bool(false);
    AppendLine(&w, out);
    told_calls_ = end;
  }

  void Begin(const Piece& piece, std::span<const ToolCall> calls, JsonWriter* w) const {
    w->BeginObject().Key("model").String(reply_.model);
    w->Key("created_at").String(OllamaTime());
    if (reply_.chat) {
      w->Key("message").BeginObject().Key("role").String("assistant");
      w->Key("content").String(piece.text);
    } else {
      w->Key("response").String(piece.text);
    }
    if (!piece.reasoning.empty()) w->Key("thinking").String(piece.reasoning);
    if (!calls.empty()) {
      w->Key("tool_calls").BeginArray();
      for (const ToolCall& call : calls) {
        w->BeginObject().Key("id").String(call.id).Key("function").BeginObject();
        w->Key("name").String(call.name).Key("arguments");
        WriteArguments(call, w);
        w->EndObject().EndObject();
      }
      w->EndArray();
    }
    if (reply_.chat) w->EndObject();
    if (!reply_.with_logprobs || piece.scores.empty()) return;
    w->Key("logprobs");
    WriteTokenScores(piece.scores, tokenizer_, w);
  }

  void WriteEnd(const Answer& answer, JsonWriter* w) const {
    w->Key("done")
        .Bool(true)
        .Key("done_reason")
        .String(answer.finish() == FinishReason::kLength ? "length" : "stop");
    // What came before the prompt was begun, which is waiting for its turn here.
    const double waited = std::max(0.0, answer.first_token_ms() - answer.prefill_ms());
    w->Key("total_duration")
        .Int(Nanoseconds(waited) + Nanoseconds(answer.prefill_ms()) +
             Nanoseconds(answer.decode_ms()));
    w->Key("load_duration").Int(Nanoseconds(waited));
    w->Key("prompt_eval_count").Int(answer.usage().prompt_tokens);
    w->Key("prompt_eval_duration").Int(Nanoseconds(answer.prefill_ms()));
    w->Key("eval_count").Int(answer.usage().completion_tokens);
    w->Key("eval_duration").Int(Nanoseconds(answer.decode_ms()));
  }

  const text::Tokenizer& tokenizer_;
  const OllamaReply reply_;
  size_t told_calls_ = 0;  // of a stream
};

}  // namespace

std::unique_ptr<ReplyWriter> MakeOllamaWriter(const text::Tokenizer& tokenizer, OllamaReply reply) {
  return std::make_unique<OllamaWriter>(tokenizer, std::move(reply));
}

std::string OllamaTime() {
  const int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  return Utc(now / 1'000'000'000, now % 1'000'000'000);
}

std::string OllamaTime(int64_t unix_seconds) { return Utc(unix_seconds, 0); }

}  // namespace lb::api

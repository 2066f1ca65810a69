#include "api/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "api/errors.h"

namespace lb::api {
namespace {

double NowMs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(now).count();
}

std::string RandomId(std::string_view prefix) {
  static constexpr char kDigits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::string id(prefix);
  for (int i = 0; i < 24; ++i) id += kDigits[random() % 62];
  return id;
}

// Milliseconds and rates: finer digits than these are noise.
std::string Rounded(double value) { return fmt::format("{:.3f}", value); }

double PerSecond(double count, double ms) { return ms > 0 ? count * 1000.0 / ms : 0.0; }

}  // namespace

Generation::Generation(GenerationSetup setup, const text::Tokenizer& tokenizer)
    : setup_(std::move(setup)), id_(RandomId(setup_.writer->id_prefix())),
      created_(std::chrono::duration_cast<std::chrono::seconds>(
                   std::chrono::system_clock::now().time_since_epoch()).count()) {
  const double now = NowMs();
  choices_.reserve(setup_.streams.size());
  for (auto& stream : setup_.streams) {
    choices_.push_back(Choice{std::move(stream), Answer(tokenizer, setup_.answer, now), {}, false, false});
  }
  setup_.streams.clear();
}

Generation::~Generation() = default;

void Generation::OnReady(const std::function<void()>& wake) {
  for (Choice& choice : choices_) {
    if (choice.stream != nullptr) choice.stream->OnReady(wake);
  }
}

void Generation::Fail(Error error) {
  if (done_ || error_) return;
  error_ = std::move(error);
  for (Choice& choice : choices_) choice.stream.reset();
}

bool Generation::Advance(std::string* out) {
  if (done_) return true;
  for (int i = 0; i < static_cast<int>(choices_.size()) && !error_; ++i) TakeEvents(i, out);
  const bool all = std::all_of(choices_.begin(), choices_.end(),
                               [](const Choice& choice) { return choice.answer.finished(); });
  if (!error_ && !all) return false;
  done_ = true;
  if (error_) {
    for (Choice& choice : choices_) choice.stream.reset();
  }
  if (!setup_.stream) return true;
  if (error_) {
    *out += "data: " + ErrorJson(*error_) + "\n\n";
  } else if (setup_.include_usage) {
    JsonWriter w;
    WriteHead(setup_.writer->chunk_object(), &w);
    w.Key("choices").BeginArray().EndArray();
    WriteUsage(&w);
    w.EndObject();
    *out += "data: " + w.text() + "\n\n";
  }
  *out += "data: [DONE]\n\n";
  return true;
}

void Generation::TakeEvents(int index, std::string* out) {
  Choice& choice = choices_[static_cast<size_t>(index)];
  if (choice.stream == nullptr) return;
  const double now = NowMs();
  for (const TokenEvent& event : choice.stream->Take()) {
    Piece piece = choice.answer.Push(event, now);
    if (choice.answer.failed()) {
      error_ = choice.answer.error();
      return;
    }
    if (!setup_.stream) {
      choice.whole.text += piece.text;
      std::move(piece.scores.begin(), piece.scores.end(), std::back_inserter(choice.whole.scores));
    } else {
      WriteStart(index, out);
      if (!piece.empty()) {
        JsonWriter w;
        BeginChunk(&w);
        setup_.writer->WritePiece(index, piece, &w);
        EndChunk(&w, out);
      }
    }
    if (choice.answer.finished()) break;
  }
  if (!choice.answer.finished()) return;
  if (choice.answer.stopped_early()) choice.stream->Finish();
  choice.stream.reset();
  if (setup_.stream && !choice.finish_written) {
    choice.finish_written = true;
    JsonWriter w;
    BeginChunk(&w);
    setup_.writer->WriteFinish(index, choice.answer.finish_text(), &w);
    const Usage& usage = choice.answer.usage();
    EndChunk(&w, out, usage.context_shifts, usage.dropped_tokens);
  }
}

void Generation::WriteStart(int index, std::string* out) {
  Choice& choice = choices_[static_cast<size_t>(index)];
  started_ = true;
  if (std::exchange(choice.start_written, true)) return;
  JsonWriter w;
  BeginChunk(&w);
  if (setup_.writer->WriteStart(index, &w)) EndChunk(&w, out);
}

void Generation::WriteHead(std::string_view object, JsonWriter* w) const {
  w->BeginObject().Key("id").String(id_).Key("object").String(object);
  w->Key("created").Int(created_).Key("model").String(setup_.model);
}

void Generation::BeginChunk(JsonWriter* w) const {
  WriteHead(setup_.writer->chunk_object(), w);
  w->Key("choices").BeginArray();
}

void Generation::EndChunk(JsonWriter* w, std::string* out, int shifts, int64_t dropped) {
  w->EndArray();
  WriteShifts(shifts, dropped, w);
  if (setup_.include_usage) w->Key("usage").Null();
  w->EndObject();
  *out += "data: " + w->text() + "\n\n";
}

std::string Generation::Body() const {
  JsonWriter w;
  WriteHead(setup_.writer->object(), &w);
  w.Key("choices").BeginArray();
  for (int i = 0; i < static_cast<int>(choices_.size()); ++i) {
    const Choice& choice = choices_[static_cast<size_t>(i)];
    setup_.writer->WriteWhole(i, choice.whole, choice.answer.finish_text(), &w);
  }
  w.EndArray();
  int shifts = 0;
  int64_t dropped = 0;
  for (const Choice& choice : choices_) {
    shifts += choice.answer.usage().context_shifts;
    dropped += choice.answer.usage().dropped_tokens;
  }
  WriteShifts(shifts, dropped, &w);
  WriteUsage(&w);
  w.EndObject();
  return w.Take();
}

// Only an answer whose context was cut says so.
void Generation::WriteShifts(int times, int64_t dropped, JsonWriter* w) {
  if (times == 0) return;
  w->Key("context_shift").BeginObject();
  w->Key("times").Int(times).Key("dropped_tokens").Int(dropped);
  w->EndObject();
}

// Prompts count once however many answers they get; their cached part is the first answer's.
void Generation::WriteUsage(JsonWriter* w) const {
  int64_t prompt = 0, cached = 0, completion = 0;
  for (size_t i = 0; i < choices_.size(); ++i) {
    const Usage& usage = choices_[i].answer.usage();
    completion += usage.completion_tokens;
    if (i % static_cast<size_t>(setup_.answers_per_prompt) != 0) continue;
    prompt += usage.prompt_tokens;
    cached += usage.cached_tokens;
  }
  const Answer& first = choices_.front().answer;
  const Usage& usage = first.usage();
  w->Key("usage").BeginObject();
  w->Key("prompt_tokens").Int(prompt);
  w->Key("completion_tokens").Int(completion);
  w->Key("total_tokens").Int(prompt + completion);
  w->Key("prompt_tokens_details").BeginObject().Key("cached_tokens").Int(cached).EndObject();
  // llama-box's own, of the first choice.
  w->Key("time_to_first_token_ms").Raw(Rounded(first.first_token_ms()));
  w->Key("time_per_output_token_ms").Raw(Rounded(token_seconds() * 1000.0));
  w->Key("prompt_tokens_per_second")
      .Raw(Rounded(PerSecond(usage.prompt_tokens - usage.cached_tokens, usage.prefill_ms)));
  w->Key("tokens_per_second").Raw(Rounded(PerSecond(usage.completion_tokens - 1, first.decode_ms())));
  w->EndObject();
}

double Generation::token_seconds() const {
  const Answer& first = choices_.front().answer;
  const int steps = first.usage().completion_tokens - 1;
  return steps > 0 ? first.decode_ms() / steps / 1000.0 : 0.0;
}

}  // namespace lb::api

#include "api/openai_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "api/errors.h"
#include "api/json_reader.h"

namespace lb::api {
namespace {

// Milliseconds and rates: finer digits than these are noise.
std::string Rounded(double value) { return fmt::format("{:.3f}", value); }

double PerSecond(double count, double ms) { return ms > 0 ? count * 1000.0 / ms : 0.0; }
double PerToken(double ms, int64_t count) { return count > 0 ? ms / count : 0.0; }

}  // namespace

int64_t NowUnix() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void AppendEvent(std::string_view json, std::string* out, std::string_view name) {
  if (!name.empty()) {
    *out += "event: ";
    *out += name;
    *out += "\n";
  }
  *out += "data: ";
  *out += json;
  *out += "\n\n";
}

void WriteArguments(const ToolCall& call, JsonWriter* w) {
  const auto parsed = ParseJsonObject(call.arguments);
  parsed.has_value() ? w->Value(*parsed) : w->BeginObject().EndObject();
}

void WriteTimings(const Answer& answer, JsonWriter* w) {
  const Usage& usage = answer.usage();
  const int64_t prompt = answer.prefilled_tokens();
  const int steps = std::max(0, usage.completion_tokens - 1);
  w->Key("timings").BeginObject();
  w->Key("cache_n").Int(usage.cached_tokens);
  w->Key("prompt_n").Int(prompt);
  w->Key("prompt_ms").Double(answer.prefill_ms());
  w->Key("prompt_per_token_ms").Double(PerToken(answer.prefill_ms(), prompt));
  w->Key("prompt_per_second").Double(PerSecond(static_cast<double>(prompt), answer.prefill_ms()));
  w->Key("predicted_n").Int(usage.completion_tokens);
  w->Key("predicted_ms").Double(answer.decode_ms());
  w->Key("predicted_per_token_ms").Double(PerToken(answer.decode_ms(), steps));
  w->Key("predicted_per_second").Double(PerSecond(steps, answer.decode_ms()));
  if (usage.drafted_tokens > 0) {
    w->Key("draft_n").Int(usage.drafted_tokens).Key("draft_n_accepted").Int(usage.accepted_tokens);
  }
  w->EndObject();
}

void WriteProgress(const Answer& answer, JsonWriter* w) {
  w->Key("prompt_progress").BeginObject();
  w->Key("total").Int(answer.usage().prompt_tokens);
  w->Key("cache").Int(answer.usage().cached_tokens);
  w->Key("processed").Int(answer.computed_tokens());
  w->Key("time_ms").Double(answer.prefill_ms());
  w->EndObject();
}

OpenAiWriter::OpenAiWriter(const Names& names, OpenAiReply reply)
    : names_(names),
      reply_(std::move(reply)),
      id_(RandomId(names.id_prefix, 24)),
      created_(NowUnix()) {}

void OpenAiWriter::WriteHead(std::string_view object, JsonWriter* w) const {
  w->BeginObject().Key("id").String(id_).Key("object").String(object);
  w->Key("created").Int(created_).Key("model").String(reply_.model);
  w->Key("system_fingerprint").String(reply_.fingerprint);
}

void OpenAiWriter::BeginChunk(JsonWriter* w) const {
  WriteHead(names_.chunk_object, w);
  w->Key("choices").BeginArray();
}

void OpenAiWriter::EndChunk(JsonWriter* w) const {
  w->EndArray();
  if (reply_.include_usage == true) w->Key("usage").Null();
}

void OpenAiWriter::Start(Answers, int index, std::string* out) {
  JsonWriter w;
  BeginChunk(&w);
  if (!WriteStart(index, &w)) return;
  EndChunk(&w);
  AppendEvent(w.EndObject().text(), out);
}

void OpenAiWriter::Progress(Answers answers, int index, std::string* out) {
  JsonWriter w;
  BeginChunk(&w);
  WriteNothing(index, &w);
  EndChunk(&w);
  const Answer& answer = answers[static_cast<size_t>(index)];
  WriteProgress(answer, &w);
  if (reply_.timings_per_token) WriteTimings(answer, &w);
  AppendEvent(w.EndObject().text(), out);
}

void OpenAiWriter::Write(Answers answers, int index, const Piece& piece, std::string* out) {
  JsonWriter w;
  BeginChunk(&w);
  if (!WritePiece(index, piece, &w)) return;
  EndChunk(&w);
  if (reply_.timings_per_token) WriteTimings(answers[static_cast<size_t>(index)], &w);
  AppendEvent(w.EndObject().text(), out);
}

void OpenAiWriter::Finish(Answers answers, int index, std::string* out) {
  JsonWriter w;
  BeginChunk(&w);
  WriteFinish(index, answers[static_cast<size_t>(index)].finish_text(), &w);
  EndChunk(&w);
  WriteShifts(answers.subspan(static_cast<size_t>(index), 1), &w);
  const bool last = std::all_of(answers.begin(), answers.end(),
                                [](const Answer& answer) { return answer.finished(); });
  if (last && reply_.include_usage != true) {
    if (!reply_.include_usage) WriteUsage(answers, &w);
    WriteEnding(answers.front(), &w);
  }
  AppendEvent(w.EndObject().text(), out);
}

void OpenAiWriter::End(Answers answers, std::string* out) {
  if (reply_.include_usage == true) {
    JsonWriter w;
    BeginChunk(&w);
    w.EndArray();
    WriteUsage(answers, &w);
    WriteEnding(answers.front(), &w);
    AppendEvent(w.EndObject().text(), out);
  }
  *out += "data: [DONE]\n\n";
}

void OpenAiWriter::Fail(const Error& error, std::string* out) {
  AppendEvent(ErrorJson(error), out);
  *out += "data: [DONE]\n\n";
}

std::string OpenAiWriter::Whole(Answers answers) const {
  JsonWriter w;
  WriteHead(names_.object, &w);
  w.Key("choices").BeginArray();
  int index = 0;
  for (const Answer* answer : Kept(answers)) WriteWhole(index++, *answer, &w);
  w.EndArray();
  WriteShifts(answers, &w);
  WriteUsage(answers, &w);
  WriteEnding(answers.front(), &w);
  return w.EndObject().Take();
}

std::vector<const Answer*> OpenAiWriter::Kept(Answers answers) const {
  std::vector<const Answer*> kept;
  const auto made = static_cast<size_t>(reply_.answers_per_prompt);
  for (size_t begin = 0; begin < answers.size(); begin += made) {
    std::vector<const Answer*> best;
    for (const Answer& answer : answers.subspan(begin, made)) best.push_back(&answer);
    if (reply_.kept_per_prompt < reply_.answers_per_prompt) {
      std::stable_sort(best.begin(), best.end(), [](const Answer* a, const Answer* b) {
        return a->mean_logprob() > b->mean_logprob();
      });
      best.resize(static_cast<size_t>(reply_.kept_per_prompt));
    }
    kept.insert(kept.end(), best.begin(), best.end());
  }
  return kept;
}

void OpenAiWriter::WriteShifts(Answers answers, JsonWriter* w) {
  int times = 0;
  int64_t dropped = 0;
  for (const Answer& answer : answers) {
    times += answer.usage().context_shifts;
    dropped += answer.usage().dropped_tokens;
  }
  if (times == 0) return;
  w->Key("context_shift").BeginObject();
  w->Key("times").Int(times).Key("dropped_tokens").Int(dropped);
  w->EndObject();
}

void OpenAiWriter::WriteEnding(const Answer& first, JsonWriter* w) const {
  WriteTimings(first, w);
  if (!reply_.verbose.empty()) w->Key("__verbose").Raw(reply_.verbose);
}

// Prompts count once however many answers they get; their cached part is the first answer's.
void OpenAiWriter::WriteUsage(Answers answers, JsonWriter* w) const {
  int64_t prompt = 0, cached = 0, completion = 0, reasoning = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    const Usage& usage = answers[i].usage();
    completion += usage.completion_tokens;
    reasoning += answers[i].reasoning_tokens();
    if (i % static_cast<size_t>(reply_.answers_per_prompt) != 0) continue;
    prompt += usage.prompt_tokens;
    cached += usage.cached_tokens;
  }
  const Answer& first = answers.front();
  const Usage& usage = first.usage();
  const int steps = std::max(0, usage.completion_tokens - 1);
  w->Key("usage").BeginObject();
  w->Key("prompt_tokens").Int(prompt);
  w->Key("completion_tokens").Int(completion);
  w->Key("total_tokens").Int(prompt + completion);
  w->Key("prompt_tokens_details").BeginObject().Key("cached_tokens").Int(cached).EndObject();
  w->Key("completion_tokens_details").BeginObject();
  w->Key("reasoning_tokens").Int(reasoning);
  // OpenAI's are of predictions that a request brings; there are none of those.
  w->Key("accepted_prediction_tokens").Int(0).Key("rejected_prediction_tokens").Int(0);
  w->EndObject();
  // llama-box's own, of the first choice.
  w->Key("time_to_first_token_ms").Raw(Rounded(first.first_token_ms()));
  w->Key("time_per_output_token_ms").Raw(Rounded(PerToken(first.decode_ms(), steps)));
  w->Key("prompt_tokens_per_second")
      .Raw(Rounded(PerSecond(usage.prompt_tokens - usage.cached_tokens, first.prefill_ms())));
  w->Key("tokens_per_second").Raw(Rounded(PerSecond(steps, first.decode_ms())));
  const double accepted =
      usage.drafted_tokens == 0 ? 0 : static_cast<double>(usage.accepted_tokens) / usage.drafted_tokens;
  w->Key("draft_tokens").Int(usage.drafted_tokens);
  w->Key("draft_tokens_acceptance").Raw(Rounded(accepted));
  w->EndObject();
}

}  // namespace lb::api

// llama.cpp's /completion: one flat object for each answer, a list of them for several.
#include <cmath>
#include <utility>

#include "api/errors.h"
#include "api/json_reader.h"
#include "api/reply_writer.h"

namespace lb::api {
namespace json = boost::json;
namespace {

class NativeWriter final : public ReplyWriter {
 public:
  NativeWriter(const text::Tokenizer& tokenizer, NativeReply reply)
      : tokenizer_(tokenizer), reply_(std::move(reply)) {}

  void Start(Answers, int, std::string*) override {}

  void Progress(Answers answers, int index, std::string* out) override {
    const Answer& answer = answers[static_cast<size_t>(index)];
    JsonWriter w;
    w.BeginObject().Key("index").Int(index).Key("content").String("");
    WriteTokens({}, &w);
    w.Key("stop").Bool(false).Key("id_slot").Int(-1);
    w.Key("tokens_predicted").Int(0);
    w.Key("tokens_evaluated").Int(answer.usage().prompt_tokens);
    if (reply_.timings_per_token) WriteTimings(answer, &w);
    WriteProgress(answer, &w);
    AppendEvent(w.EndObject().text(), out);
  }

  void Write(Answers answers, int index, const Piece& piece, std::string* out) override {
    if (piece.text.empty() && piece.scores.empty()) return;
    const Answer& answer = answers[static_cast<size_t>(index)];
    JsonWriter w;
    w.BeginObject().Key("index").Int(index);
    w.Key("content").String(piece.text);
    WriteTokens(piece.scores, &w);
    w.Key("stop").Bool(false).Key("id_slot").Int(-1);
    w.Key("tokens_predicted").Int(answer.usage().completion_tokens);
    w.Key("tokens_evaluated").Int(answer.usage().prompt_tokens);
    if (reply_.n_probs > 0) WriteProbabilities(piece.scores, &w);
    if (reply_.timings_per_token) WriteTimings(answer, &w);
    AppendEvent(w.EndObject().text(), out);
  }

  void Finish(Answers answers, int index, std::string* out) override {
    AppendEvent(Body(answers[static_cast<size_t>(index)], index, false), out);
  }
  void End(Answers, std::string*) override {}
  void Fail(const Error& error, std::string* out) override { AppendEvent(ErrorJson(error), out); }

  std::string Whole(Answers answers) const override {
    if (answers.size() == 1) return Body(answers[0], 0, true);
    JsonWriter w;
    w.BeginArray();
    for (size_t i = 0; i < answers.size(); ++i) {
      w.Raw(Body(answers[i], static_cast<int>(i), true));
    }
    return w.EndArray().Take();
  }

 private:
  std::string Body(const Answer& answer, int index, bool whole) const {
    const std::string body = FullBody(answer, index, whole);
    return reply_.fields.empty() ? body : Selected(body);
  }

  // `whole`: with the text; else it was streamed before.
  std::string FullBody(const Answer& answer, int index, bool whole) const {
    const Usage& usage = answer.usage();
    const bool limit = answer.finish() == FinishReason::kLength;
    const bool word = !answer.stopping_word().empty();
    JsonWriter w;
    w.BeginObject().Key("index").Int(index);
    w.Key("content").String(whole ? answer.whole().text : "");
    WriteTokens(whole && reply_.return_tokens ? answer.whole().scores : std::vector<TokenScore>(),
                &w);
    w.Key("id_slot").Int(-1).Key("stop").Bool(true);
    w.Key("model").String(reply_.model);
    w.Key("tokens_predicted").Int(usage.completion_tokens);
    w.Key("tokens_evaluated").Int(usage.prompt_tokens);
    w.Key("generation_settings").Raw(reply_.settings);
    w.Key("prompt").String(reply_.prompts[static_cast<size_t>(index / reply_.answers_per_prompt)]);
    w.Key("has_new_line").Bool(answer.has_new_line());
    // The context was full before as much was said as the client wanted, or it was shifted.
    w.Key("truncated")
        .Bool(usage.context_shifts > 0 ||
              (limit && usage.completion_tokens != reply_.max_tokens && !answer.out_of_time()));
    w.Key("stop_type").String(word ? "word" : limit ? "limit" : "eos");
    w.Key("stopping_word").String(answer.stopping_word());
    w.Key("tokens_cached").Int(usage.cached_tokens);
    WriteTimings(answer, &w);
    if (whole && reply_.n_probs > 0) WriteProbabilities(answer.whole().scores, &w);
    return w.EndObject().Take();
  }

  // The fields that were asked for, "object/field" under that very name; missing ones are left out.
  std::string Selected(const std::string& body) const {
    const auto parsed = ParseJson(body);
    CHECK(parsed.has_value());
    JsonWriter w;
    w.BeginObject();
    for (const std::string& field : reply_.fields) {
      const json::value* value = &parsed.value();
      for (size_t at = 0; value != nullptr && at <= field.size();) {
        const size_t end = std::min(field.find('/', at), field.size());
        const auto* object = value->if_object();
        value = object == nullptr ? nullptr : object->if_contains(field.substr(at, end - at));
        at = end + 1;
      }
      if (value != nullptr) w.Key(field).Value(*value);
    }
    return w.EndObject().Take();
  }

  void WriteTokens(const std::vector<TokenScore>& scores, JsonWriter* w) const {
    w->Key("tokens").BeginArray();
    for (const TokenScore& score : scores) w->Int(score.token);
    w->EndArray();
  }

  void WriteToken(TokenId id, float logprob, JsonWriter* w) const {
    const std::string bytes = tokenizer_.TokenBytes(id, true);
    w->Key("id").Int(id);
    w->Key("token").String(bytes);
    w->Key("bytes").BeginArray();
    for (const char c : bytes) w->Int(static_cast<unsigned char>(c));
    w->EndArray();
    reply_.after_sampling ? w->Key("prob").Float(std::exp(logprob))
                          : w->Key("logprob").Float(logprob);
  }

  void WriteProbabilities(const std::vector<TokenScore>& scores, JsonWriter* w) const {
    w->Key("completion_probabilities").BeginArray();
    for (const TokenScore& score : scores) {
      w->BeginObject();
      WriteToken(score.token, score.logprob, w);
      w->Key(reply_.after_sampling ? "top_probs" : "top_logprobs").BeginArray();
      for (const TokenLogprob& other : score.top) {
        w->BeginObject();
        WriteToken(other.token, other.logprob, w);
        w->EndObject();
      }
      w->EndArray().EndObject();
    }
    w->EndArray();
  }

  const text::Tokenizer& tokenizer_;
  const NativeReply reply_;
};

}  // namespace

std::unique_ptr<ReplyWriter> MakeNativeWriter(const text::Tokenizer& tokenizer, NativeReply reply) {
  return std::make_unique<NativeWriter>(tokenizer, std::move(reply));
}

}  // namespace lb::api

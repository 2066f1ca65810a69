// Legacy completions: text, and logprobs as four parallel lists.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "api/openai_writer.h"

namespace lb::api {
namespace {

class CompletionWriter final : public OpenAiWriter {
 public:
  CompletionWriter(const text::Tokenizer& tokenizer, OpenAiReply reply,
                   std::vector<std::string> echo)
      : OpenAiWriter({"cmpl-", "text_completion", "text_completion"}, std::move(reply)),
        tokenizer_(tokenizer),
        echo_(std::move(echo)) {}

 protected:
  bool WriteStart(int index, JsonWriter* w) const override {
    if (echo_.empty()) return false;
    WriteChoice(index, EchoOf(index), {}, {}, w);
    return true;
  }
  bool WritePiece(int index, const Piece& piece, JsonWriter* w) const override {
    if (piece.text.empty() && (!reply().with_logprobs || piece.scores.empty())) return false;
    WriteChoice(index, piece.text, piece.scores, {}, w);
    return true;
  }
  void WriteNothing(int index, JsonWriter* w) const override {
    WriteChoice(index, {}, {}, {}, w);
  }
  void WriteFinish(int index, std::string_view reason, JsonWriter* w) const override {
    WriteChoice(index, {}, {}, reason, w);
  }
  void WriteWhole(int index, const Answer& answer, JsonWriter* w) const override {
    const Piece& whole = answer.whole();
    WriteChoice(index, EchoOf(index) + whole.text, whole.scores, answer.finish_text(), w);
  }

 private:
  std::string EchoOf(int index) const {
    return echo_.empty() ? std::string()
                         : echo_[static_cast<size_t>(index / reply().kept_per_prompt)];
  }

  void WriteChoice(int index, const std::string& text, const std::vector<TokenScore>& scores,
                   std::string_view reason, JsonWriter* w) const {
    w->BeginObject().Key("index").Int(index);
    w->Key("text").String(text);
    w->Key("logprobs");
    reply().with_logprobs ? WriteLogprobs(scores, w) : static_cast<void>(w->Null());
    w->Key("finish_reason");
    reason.empty() ? w->Null() : w->String(reason);
    w->EndObject();
  }

  // Bytes that are no text on their own are spelled as OpenAI spells them, so that different tokens
  // stay different keys.
  std::string Spelling(TokenId id) const {
    const std::string bytes = tokenizer_.TokenBytes(id, true);
    if (ValidUtf8Prefix(bytes) == bytes.size()) return bytes;
    std::string text = "bytes:";
    for (const char c : bytes) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    return text;
  }

  void WriteLogprobs(const std::vector<TokenScore>& scores, JsonWriter* w) const {
    w->BeginObject().Key("tokens").BeginArray();
    for (const TokenScore& score : scores) w->String(Spelling(score.token));
    w->EndArray().Key("token_logprobs").BeginArray();
    for (const TokenScore& score : scores) w->Float(score.logprob);
    w->EndArray().Key("top_logprobs").BeginArray();
    for (const TokenScore& score : scores) WriteTop(score, w);
    w->EndArray().Key("text_offset").BeginArray();
    for (const TokenScore& score : scores) w->Int(static_cast<int64_t>(score.char_offset));
    w->EndArray().EndObject();
  }

  // The best ones, and the chosen token if it is not among them. Distinct tokens may share a
  // spelling; the better one has it.
  void WriteTop(const TokenScore& score, JsonWriter* w) const {
    std::vector<std::pair<std::string, float>> entries;
    const auto add = [&](TokenId id, float logprob) {
      std::string text = Spelling(id);
      const bool known = std::any_of(entries.begin(), entries.end(),
                                     [&](const auto& entry) { return entry.first == text; });
      if (!known) entries.emplace_back(std::move(text), logprob);
    };
    for (const TokenLogprob& other : score.top) add(other.token, other.logprob);
    add(score.token, score.logprob);
    w->BeginObject();
    for (const auto& [text, logprob] : entries) w->Key(text).Float(logprob);
    w->EndObject();
  }

  const text::Tokenizer& tokenizer_;
  const std::vector<std::string> echo_;
};

}  // namespace

std::unique_ptr<ReplyWriter> MakeCompletionWriter(const text::Tokenizer& tokenizer,
                                                  OpenAiReply reply,
                                                  std::vector<std::string> echo) {
  return std::make_unique<CompletionWriter>(tokenizer, std::move(reply), std::move(echo));
}

}  // namespace lb::api

// Chat completions: message and delta, logprobs.content.
#include "api/openai_writer.h"

namespace lb::api {
namespace {

class ChatWriter final : public OpenAiWriter {
 public:
  ChatWriter(const text::Tokenizer& tokenizer, OpenAiReply reply)
      : OpenAiWriter({"chatcmpl-", "chat.completion", "chat.completion.chunk"}, std::move(reply)),
        tokenizer_(tokenizer) {}

 protected:
  bool WriteStart(int index, JsonWriter* w) const override {
    w->BeginObject().Key("index").Int(index);
    w->Key("delta").BeginObject();
    w->Key("role").String("assistant").Key("content").Null();
    w->EndObject();
    w->Key("logprobs").Null().Key("finish_reason").Null().EndObject();
    return true;
  }

  bool WritePiece(int index, const Piece& piece, JsonWriter* w) const override {
    const bool scores = reply().with_logprobs && !piece.scores.empty();
    if (piece.text.empty() && piece.reasoning.empty() && piece.calls.empty() && !scores) {
      return false;
    }
    w->BeginObject().Key("index").Int(index);
    w->Key("delta").BeginObject();
    if (!piece.reasoning.empty()) w->Key("reasoning_content").String(piece.reasoning);
    if (!piece.text.empty() || scores) w->Key("content").String(piece.text);
    if (!piece.calls.empty()) WriteCalls(piece.calls, w);
    w->EndObject();
    WriteLogprobs(piece.scores, w);
    w->Key("finish_reason").Null().EndObject();
    return true;
  }

  void WriteNothing(int index, JsonWriter* w) const override {
    w->BeginObject().Key("index").Int(index);
    w->Key("delta").BeginObject().EndObject();
    w->Key("logprobs").Null().Key("finish_reason").Null().EndObject();
  }

  void WriteFinish(int index, std::string_view reason, JsonWriter* w) const override {
    w->BeginObject().Key("index").Int(index);
    w->Key("delta").BeginObject().EndObject();
    w->Key("logprobs").Null().Key("finish_reason").String(reason).EndObject();
  }

  void WriteWhole(int index, const Answer& answer, JsonWriter* w) const override {
    const Piece& whole = answer.whole();
    w->BeginObject().Key("index").Int(index);
    w->Key("message").BeginObject();
    w->Key("role").String("assistant");
    if (answer.has_reasoning()) w->Key("reasoning_content").String(whole.reasoning);
    w->Key("content");
    const bool calls = !answer.calls().empty();
    answer.thinking() || (calls && whole.text.empty()) ? w->Null() : w->String(whole.text);
    if (calls) WriteCalls(answer.calls(), w);
    w->EndObject();
    WriteLogprobs(whole.scores, w);
    w->Key("finish_reason").String(answer.finish_text()).EndObject();
  }

 private:
  static void WriteCalls(const std::vector<ToolCall>& calls, JsonWriter* w) {
    w->Key("tool_calls").BeginArray();
    for (const ToolCall& call : calls) {
      w->BeginObject().Key("id").String(call.id).Key("type").String("function");
      w->Key("function").BeginObject();
      w->Key("name").String(call.name).Key("arguments").String(call.arguments);
      w->EndObject().EndObject();
    }
    w->EndArray();
  }

  // Id, type and name come once, with a call's first delta.
  static void WriteCalls(const std::vector<ToolCallDelta>& deltas, JsonWriter* w) {
    w->Key("tool_calls").BeginArray();
    for (const ToolCallDelta& delta : deltas) {
      w->BeginObject().Key("index").Int(delta.index);
      if (delta.first()) w->Key("id").String(delta.id).Key("type").String("function");
      w->Key("function").BeginObject();
      if (delta.first()) w->Key("name").String(delta.name);
      w->Key("arguments").String(delta.arguments);
      w->EndObject().EndObject();
    }
    w->EndArray();
  }

  void WriteToken(TokenId id, float logprob, JsonWriter* w) const {
    w->Key("token").String(tokenizer_.TokenBytes(id, true));
    w->Key("logprob").Float(logprob);
    w->Key("bytes");
    // Joined they are the bytes of the text, where a control token has none.
    const std::string bytes = tokenizer_.TokenBytes(id, false);
    if (bytes.empty()) {
      w->Null();
      return;
    }
    w->BeginArray();
    for (const char c : bytes) w->Int(static_cast<unsigned char>(c));
    w->EndArray();
  }

  void WriteLogprobs(const std::vector<TokenScore>& scores, JsonWriter* w) const {
    w->Key("logprobs");
    if (!reply().with_logprobs) {
      w->Null();
      return;
    }
    w->BeginObject().Key("content").BeginArray();
    for (const TokenScore& score : scores) {
      w->BeginObject();
      WriteToken(score.token, score.logprob, w);
      w->Key("top_logprobs").BeginArray();
      for (const TokenLogprob& other : score.top) {
        w->BeginObject();
        WriteToken(other.token, other.logprob, w);
        w->EndObject();
      }
      w->EndArray().EndObject();
    }
    w->EndArray().Key("refusal").Null().EndObject();
  }

  const text::Tokenizer& tokenizer_;
};

}  // namespace

std::unique_ptr<ReplyWriter> MakeChatWriter(const text::Tokenizer& tokenizer, OpenAiReply reply) {
  return std::make_unique<ChatWriter>(tokenizer, std::move(reply));
}

}  // namespace lb::api

// Chat completions: message and delta, logprobs.content.
#include "api/reply_writer.h"

namespace lb::api {
namespace {

class ChatWriter : public ReplyWriter {
 public:
  ChatWriter(const text::Tokenizer& tokenizer, bool with_logprobs)
      : tokenizer_(tokenizer), with_logprobs_(with_logprobs) {}

  std::string_view id_prefix() const override { return "chatcmpl-"; }
  std::string_view object() const override { return "chat.completion"; }
  std::string_view chunk_object() const override { return "chat.completion.chunk"; }

  bool WriteStart(int index, JsonWriter* w) const override {
    w->BeginObject().Key("index").Int(index);
    w->Key("delta").BeginObject();
    w->Key("role").String("assistant").Key("content").String("");
    w->EndObject();
    w->Key("logprobs").Null().Key("finish_reason").Null().EndObject();
    return true;
  }

  void WritePiece(int index, const Piece& piece, JsonWriter* w) const override {
    w->BeginObject().Key("index").Int(index);
    w->Key("delta").BeginObject().Key("content").String(piece.text).EndObject();
    WriteLogprobs(piece.scores, w);
    w->Key("finish_reason").Null().EndObject();
  }

  void WriteFinish(int index, std::string_view reason, JsonWriter* w) const override {
    w->BeginObject().Key("index").Int(index);
    w->Key("delta").BeginObject().EndObject();
    w->Key("logprobs").Null().Key("finish_reason").String(reason).EndObject();
  }

  void WriteWhole(int index, const Piece& whole, std::string_view reason,
                  JsonWriter* w) const override {
    w->BeginObject().Key("index").Int(index);
    w->Key("message").BeginObject();
    w->Key("role").String("assistant").Key("content").String(whole.text);
    w->EndObject();
    WriteLogprobs(whole.scores, w);
    w->Key("finish_reason").String(reason).EndObject();
  }

 private:
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
    if (!with_logprobs_) {
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
  const bool with_logprobs_;
};

}  // namespace

std::unique_ptr<ReplyWriter> MakeChatWriter(const text::Tokenizer& tokenizer, bool with_logprobs) {
  return std::make_unique<ChatWriter>(tokenizer, with_logprobs);
}

}  // namespace lb::api

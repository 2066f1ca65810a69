#include "api/anthropic/messages_writer.h"

#include <utility>

#include "api/errors.h"

namespace lb::api {
namespace {

class MessagesWriter final : public ReplyWriter {
 public:
  explicit MessagesWriter(MessagesReply reply) : reply_(std::move(reply)), id_(RandomId("msg_")) {}

  std::string_view filler() const override { return "event: ping\ndata: {\"type\":\"ping\"}\n\n"; }

  void Start(Answers answers, int index, std::string* out) override {
    JsonWriter w;
    w.BeginObject().Key("type").String("message_start").Key("message");
    BeginMessage(&w);
    w.EndArray();
    w.Key("stop_reason").Null().Key("stop_sequence").Null();
    WriteUsage(answers[static_cast<size_t>(index)], &w);
    w.EndObject();
    Send("message_start", &w, out);
  }

  void Progress(Answers, int, std::string*) override {}

  void Write(Answers, int, const Piece& piece, std::string* out) override {
    if (!piece.reasoning.empty()) {
      Open(Block::kThinking, out);
      Delta("thinking_delta", "thinking", piece.reasoning, out);
    }
    if (!piece.text.empty()) {
      Open(Block::kText, out);
      Delta("text_delta", "text", piece.text, out);
    }
    for (const ToolCallDelta& delta : piece.calls) {
      if (delta.first()) {
        Close(out);
        Begin(Block::kCall, {delta.id, delta.name, {}}, out);
      }
      if (!delta.arguments.empty()) {
        Delta("input_json_delta", "partial_json", delta.arguments, out);
      }
    }
  }

  void Finish(Answers answers, int index, std::string* out) override {
    const Answer& answer = answers[static_cast<size_t>(index)];
    Close(out);
    JsonWriter w;
    w.BeginObject().Key("type").String("message_delta").Key("delta").BeginObject();
    WriteStop(answer, &w);
    w.EndObject();
    WriteUsage(answer, &w);
    Send("message_delta", &w, out);
  }

  void End(Answers, std::string* out) override {
    JsonWriter w;
    w.BeginObject().Key("type").String("message_stop");
    Send("message_stop", &w, out);
  }

  void Fail(const Error& error, std::string* out) override {
    AppendEvent(ErrorJson(error, ErrorForm::kAnthropic), out, "error");
  }

  std::string Whole(Answers answers) const override {
    const Answer& answer = answers.front();
    JsonWriter w;
    BeginMessage(&w);
    if (!answer.whole().reasoning.empty()) {
      WriteBlock(Block::kThinking, answer.whole().reasoning, &w);
    }
    if (!answer.whole().text.empty()) WriteBlock(Block::kText, answer.whole().text, &w);
    for (const ToolCall& call : answer.calls()) WriteCall(call, &w);
    w.EndArray();
    WriteStop(answer, &w);
    WriteUsage(answer, &w);
    return w.EndObject().Take();
  }

 private:
  enum class Block { kNone, kThinking, kText, kCall };

  static void Send(std::string_view name, JsonWriter* w, std::string* out) {
    AppendEvent(w->EndObject().text(), out, name);
  }

  // All up to the elements of `content`.
  void BeginMessage(JsonWriter* w) const {
    w->BeginObject().Key("id").String(id_).Key("type").String("message");
    w->Key("role").String("assistant").Key("model").String(reply_.model);
    w->Key("content").BeginArray();
  }

  static void WriteBlock(Block block, std::string_view words, JsonWriter* w) {
    w->BeginObject();
    if (block == Block::kThinking) {
      // Nothing is signed: whoever sends it back is believed.
      w->Key("type").String("thinking").Key("thinking").String(words).Key("signature").String("");
    } else {
      w->Key("type").String("text").Key("text").String(words);
    }
    w->EndObject();
  }

  static void WriteCall(const ToolCall& call, JsonWriter* w) {
    w->BeginObject().Key("type").String("tool_use");
    w->Key("id").String(call.id).Key("name").String(call.name).Key("input");
    WriteArguments(call, w);
    w->EndObject();
  }

  // Makes `block` the open one: closes another, and begins it.
  void Open(Block block, std::string* out) {
    if (block == open_) return;
    Close(out);
    Begin(block, {}, out);
  }

  void Close(std::string* out) {
    if (open_ == Block::kThinking) Delta("signature_delta", "signature", "", out);
    if (open_ != Block::kNone) {
      JsonWriter w;
      w.BeginObject().Key("type").String("content_block_stop").Key("index").Int(num_blocks_ - 1);
      Send("content_block_stop", &w, out);
    }
    open_ = Block::kNone;
  }

  // `call` is that of Block::kCall, without arguments yet.
  void Begin(Block block, const ToolCall& call, std::string* out) {
    open_ = block;
    JsonWriter w;
    w.BeginObject().Key("type").String("content_block_start").Key("index").Int(num_blocks_++);
    w.Key("content_block");
    block == Block::kCall ? WriteCall(call, &w) : WriteBlock(block, "", &w);
    Send("content_block_start", &w, out);
  }

  void Delta(std::string_view type, std::string_view key, std::string_view words,
             std::string* out) const {
    JsonWriter w;
    w.BeginObject().Key("type").String("content_block_delta").Key("index").Int(num_blocks_ - 1);
    w.Key("delta").BeginObject().Key("type").String(type).Key(key).String(words).EndObject();
    Send("content_block_delta", &w, out);
  }

  void WriteStop(const Answer& answer, JsonWriter* w) const {
    std::string_view reason = "end_turn";
    if (!answer.stopping_word().empty()) {
      reason = "stop_sequence";
    } else if (answer.finish() == FinishReason::kLength) {
      const bool asked = answer.usage().completion_tokens == reply_.max_tokens;
      reason = asked || answer.out_of_time() ? "max_tokens" : "model_context_window_exceeded";
    } else if (!answer.calls().empty()) {
      reason = "tool_use";
    }
    w->Key("stop_reason").String(reason).Key("stop_sequence");
    answer.stopping_word().empty() ? w->Null() : w->String(answer.stopping_word());
  }

  // What was found in the cache is no part of input_tokens.
  static void WriteUsage(const Answer& answer, JsonWriter* w) {
    const Usage& usage = answer.usage();
    w->Key("usage").BeginObject();
    w->Key("input_tokens").Int(usage.prompt_tokens - usage.cached_tokens);
    w->Key("cache_creation_input_tokens").Int(0);
    w->Key("cache_read_input_tokens").Int(usage.cached_tokens);
    w->Key("output_tokens").Int(usage.completion_tokens);
    w->Key("output_tokens_details").BeginObject();
    w->Key("thinking_tokens").Int(answer.reasoning_tokens()).EndObject();
    w->EndObject();
  }

  const MessagesReply reply_;
  const std::string id_;
  Block open_ = Block::kNone;
  int num_blocks_ = 0;  // begun so far
};

}  // namespace

std::unique_ptr<ReplyWriter> MakeMessagesWriter(MessagesReply reply) {
  return std::make_unique<MessagesWriter>(std::move(reply));
}

}  // namespace lb::api

#include "api/responses/responses_writer.h"

#include <utility>
#include <vector>

#include "api/errors.h"
#include "api/token_scores.h"

namespace lb::api {
namespace {

// One element of `output`.
struct Item {
  enum class Kind { kReasoning, kMessage, kCall };
  Kind kind = Kind::kMessage;
  std::string text;  // a call's arguments
  std::vector<TokenScore> scores;
  std::string call_id, name;  // of a call
  std::string id = RandomId(kind == Kind::kMessage ? "msg_" : kind == Kind::kCall ? "fc_" : "rs_");
};
using Items = std::vector<Item>;

class ResponsesWriter final : public ReplyWriter {
 public:
  ResponsesWriter(const text::Tokenizer& tokenizer, ResponsesReply reply)
      : tokenizer_(tokenizer),
        reply_(std::move(reply)),
        id_(RandomId("resp_")),
        created_(NowUnix()) {}

  void Start(Answers, int, std::string* out) override {
    for (const char* type : {"response.created", "response.in_progress"}) {
      JsonWriter w;
      Begin(type, &w);
      w.Key("response");
      WriteResponse("in_progress", {}, nullptr, nullptr, &w);
      Send(type, &w, out);
    }
  }

  void Progress(Answers answers, int index, std::string* out) override {
    const Answer& answer = answers[static_cast<size_t>(index)];
    JsonWriter w;
    Begin("response.in_progress", &w);
    w.Key("response");
    WriteResponse("in_progress", {}, nullptr, nullptr, &w);
    WriteProgress(answer, &w);
    if (reply_.timings_per_token) WriteTimings(answer, &w);
    Send("response.in_progress", &w, out);
  }

  void Write(Answers answers, int index, const Piece& piece, std::string* out) override {
    const Answer& answer = answers[static_cast<size_t>(index)];
    if (!piece.reasoning.empty()) {
      Open(Item::Kind::kReasoning, out);
      Delta(answer, "response.reasoning_text.delta", piece.reasoning, {}, out);
    }
    if (!piece.text.empty() || (reply_.with_logprobs && !piece.scores.empty())) {
      Open(Item::Kind::kMessage, out);
      Delta(answer, "response.output_text.delta", piece.text, piece.scores, out);
    }
    for (const ToolCallDelta& delta : piece.calls) {
      if (delta.first()) {
        Close(false, out);
        OpenItem({Item::Kind::kCall, {}, {}, delta.id, delta.name}, out);
      }
      if (!delta.arguments.empty()) {
        Delta(answer, "response.function_call_arguments.delta", delta.arguments, {}, out);
      }
    }
  }

  void Finish(Answers answers, int index, std::string* out) override {
    const Answer& answer = answers[static_cast<size_t>(index)];
    Close(answer.finish() == FinishReason::kLength, out);
    const std::string_view status = StatusOf(answer);
    const std::string type = "response." + std::string(status);
    JsonWriter w;
    Begin(type, &w);
    w.Key("response");
    WriteResponse(status, items_, &answer, nullptr, &w);
    WriteTimings(answer, &w);
    Send(type, &w, out);
  }

  void End(Answers, std::string*) override {}

  void Fail(const Error& error, std::string* out) override {
    JsonWriter w;
    Begin("response.failed", &w);
    w.Key("response");
    WriteResponse("failed", items_, nullptr, &error, &w);
    Send("response.failed", &w, out);
  }

  std::string Whole(Answers answers) const override {
    const Answer& answer = answers.front();
    const Piece& whole = answer.whole();
    Items items;
    if (!whole.reasoning.empty()) {
      items.push_back({Item::Kind::kReasoning, whole.reasoning, {}, {}, {}});
    }
    if (!whole.text.empty() || !whole.scores.empty()) {
      items.push_back({Item::Kind::kMessage, whole.text, whole.scores, {}, {}});
    }
    for (const ToolCall& call : answer.calls()) {
      items.push_back({Item::Kind::kCall, call.arguments, {}, call.id, call.name});
    }
    JsonWriter w;
    WriteResponse(StatusOf(answer), items, &answer, nullptr, &w);
    return w.Take();
  }

 private:
  static std::string_view StatusOf(const Answer& answer) {
    return answer.finish() == FinishReason::kLength ? "incomplete" : "completed";
  }

  void Begin(std::string_view type, JsonWriter* w) {
    w->BeginObject().Key("type").String(type).Key("sequence_number").Int(sequence_++);
  }
  static void Send(std::string_view type, JsonWriter* w, std::string* out) {
    AppendEvent(w->EndObject().text(), out, type);
  }
  // An event about a part of the open item.
  void BeginPart(std::string_view type, JsonWriter* w) {
    Begin(type, w);
    w->Key("item_id").String(items_.back().id);
    w->Key("output_index").Int(static_cast<int64_t>(items_.size()) - 1);
    if (items_.back().kind != Item::Kind::kCall) w->Key("content_index").Int(0);
  }
  void SendItem(std::string_view type, const Item& item, std::string_view status,
                std::string* out) {
    JsonWriter w;
    Begin(type, &w);
    w.Key("output_index").Int(static_cast<int64_t>(items_.size()) - 1);
    w.Key("item");
    WriteItem(item, status, &w);
    Send(type, &w, out);
  }
  void SendPart(std::string_view type, const Item& item, std::string* out) {
    JsonWriter w;
    BeginPart(type, &w);
    w.Key("part");
    WritePart(item, &w);
    Send(type, &w, out);
  }

  // Makes an item of `kind` the open one: closes another, and begins it.
  void Open(Item::Kind kind, std::string* out) {
    if (open_ && items_.back().kind == kind) return;
    Close(false, out);
    OpenItem({kind, {}, {}, {}, {}}, out);
    SendPart("response.content_part.added", items_.back(), out);
  }

  void OpenItem(Item item, std::string* out) {
    items_.push_back(std::move(item));
    open_ = true;
    SendItem("response.output_item.added", items_.back(), "in_progress", out);
  }

  void Delta(const Answer& answer, std::string_view type, const std::string& words,
             const std::vector<TokenScore>& scores, std::string* out) {
    Item& item = items_.back();
    item.text += words;
    item.scores.insert(item.scores.end(), scores.begin(), scores.end());
    JsonWriter w;
    BeginPart(type, &w);
    w.Key("delta").String(words);
    if (item.kind == Item::Kind::kMessage) WriteLogprobs(scores, &w);
    if (reply_.timings_per_token) WriteTimings(answer, &w);
    Send(type, &w, out);
  }

  void Close(bool cut, std::string* out) {
    if (!open_) return;
    open_ = false;
    const Item& item = items_.back();
    const bool call = item.kind == Item::Kind::kCall;
    const bool message = item.kind == Item::Kind::kMessage;
    const std::string_view type = call      ? "response.function_call_arguments.done"
                                  : message ? "response.output_text.done"
                                            : "response.reasoning_text.done";
    JsonWriter w;
    BeginPart(type, &w);
    if (call) w.Key("name").String(item.name);
    w.Key(call ? "arguments" : "text").String(item.text);
    if (message) WriteLogprobs(item.scores, &w);
    Send(type, &w, out);
    if (!call) SendPart("response.content_part.done", item, out);
    SendItem("response.output_item.done", item, cut ? "incomplete" : "completed", out);
  }

  void WriteLogprobs(const std::vector<TokenScore>& scores, JsonWriter* w) const {
    w->Key("logprobs");
    WriteTokenScores(reply_.with_logprobs ? scores : std::vector<TokenScore>(), tokenizer_, w);
  }

  void WritePart(const Item& item, JsonWriter* w) const {
    w->BeginObject();
    if (item.kind == Item::Kind::kReasoning) {
      w->Key("type").String("reasoning_text").Key("text").String(item.text);
    } else {
      w->Key("type").String("output_text").Key("text").String(item.text);
      w->Key("annotations").BeginArray().EndArray();
      WriteLogprobs(item.scores, w);
    }
    w->EndObject();
  }

  // An item that has only been begun has no parts yet.
  void WriteItem(const Item& item, std::string_view status, JsonWriter* w) const {
    w->BeginObject().Key("id").String(item.id);
    w->Key("status").String(status);
    if (item.kind == Item::Kind::kCall) {
      w->Key("type").String("function_call").Key("call_id").String(item.call_id);
      w->Key("name").String(item.name).Key("arguments").String(item.text).EndObject();
      return;
    }
    const bool message = item.kind == Item::Kind::kMessage;
    w->Key("type").String(message ? "message" : "reasoning");
    message ? w->Key("role").String("assistant") : w->Key("summary").BeginArray().EndArray();
    w->Key("content").BeginArray();
    if (status != "in_progress") WritePart(item, w);
    w->EndArray().EndObject();
  }

  // `answer` null: not finished. `error` null: none.
  void WriteResponse(std::string_view status, const Items& items, const Answer* answer,
                     const Error* error, JsonWriter* w) const {
    const bool cut = status == "incomplete";
    w->BeginObject().Key("id").String(id_).Key("object").String("response");
    w->Key("created_at").Int(created_).Key("status").String(status);
    w->Key("completed_at");
    status == "completed" ? w->Int(NowUnix()) : w->Null();
    w->Key("background").Bool(false).Key("store").Bool(false);
    w->Key("error");
    if (error == nullptr) {
      w->Null();
    } else {
      const std::string_view code = View(error->code).code;
      w->BeginObject().Key("code").String(code.empty() ? "server_error" : code);
      w->Key("message").String(error->message).EndObject();
    }
    w->Key("incomplete_details");
    cut ? w->BeginObject().Key("reason").String("max_output_tokens").EndObject() : w->Null();
    w->Key("model").String(reply_.model);
    w->Key("output").BeginArray();
    for (const Item& item : items) {
      WriteItem(item, cut && &item == &items.back() ? "incomplete" : "completed", w);
    }
    w->EndArray();
    w->Key("previous_response_id").Null().Key("truncation").String("disabled");
    for (const auto& [key, value] : reply_.echo) w->Key(key).Value(value);
    w->Key("usage");
    answer == nullptr ? static_cast<void>(w->Null()) : WriteUsage(*answer, w);
    w->EndObject();
  }

  static void WriteUsage(const Answer& answer, JsonWriter* w) {
    const Usage& usage = answer.usage();
    w->BeginObject().Key("input_tokens").Int(usage.prompt_tokens);
    w->Key("input_tokens_details").BeginObject();
    w->Key("cached_tokens").Int(usage.cached_tokens).EndObject();
    w->Key("output_tokens").Int(usage.completion_tokens);
    w->Key("output_tokens_details").BeginObject();
    w->Key("reasoning_tokens").Int(answer.reasoning_tokens()).EndObject();
    w->Key("total_tokens").Int(usage.prompt_tokens + usage.completion_tokens).EndObject();
  }

  const text::Tokenizer& tokenizer_;
  const ResponsesReply reply_;
  const std::string id_;
  const int64_t created_;
  int64_t sequence_ = 0;  // of the next event
  Items items_;           // of a stream; the last one is open or not
  bool open_ = false;
};

}  // namespace

std::unique_ptr<ReplyWriter> MakeResponsesWriter(const text::Tokenizer& tokenizer,
                                                 ResponsesReply reply) {
  return std::make_unique<ResponsesWriter>(tokenizer, std::move(reply));
}

}  // namespace lb::api

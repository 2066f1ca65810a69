// A tokenizer of bytes and an engine that does as it is told, for tests of what stands on them.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/service.h"
#include "engine/engine_client.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lb {

// Token b is byte b; three control tokens follow.
class ByteTokenizer final : public text::Tokenizer {
 public:
  static constexpr TokenId kStart = 256, kEnd = 257, kBos = 258;
  ByteTokenizer() {
    special_.bos = kBos;
    special_.eos = kEnd;
    special_.end_of_generation = {kEnd};
    for (int i = 0; i < 256; ++i) names_.push_back(std::string(1, static_cast<char>(i)));
    names_.insert(names_.end(), {"<|im_start|>", "<|im_end|>", "<s>"});
  }
  using text::Tokenizer::Encode;
  std::vector<TokenId> Encode(std::span<const text::TextSpan> spans, bool) const override {
    std::vector<TokenId> ids;
    for (const text::TextSpan& span : spans) {
      for (size_t i = 0; i < span.text.size();) {
        size_t step = 1;
        TokenId id = static_cast<unsigned char>(span.text[i]);
        for (TokenId special : {kStart, kEnd, kBos}) {
          const std::string& name = names_[static_cast<size_t>(special)];
          if (!span.special || span.text.substr(i, name.size()) != name) continue;
          step = name.size();
          id = special;
        }
        ids.push_back(id);
        i += step;
      }
    }
    return ids;
  }
  std::string TokenBytes(TokenId id, bool special) const override {
    return id < 256 || special ? names_[static_cast<size_t>(id)] : std::string();
  }
  std::string Decode(std::span<const TokenId> ids, bool special) const override {
    std::string text;
    for (const TokenId id : ids) text += TokenBytes(id, special);
    return text;
  }
  std::string_view TokenText(TokenId id) const override { return names_[static_cast<size_t>(id)]; }
  text::TokenType Type(TokenId id) const override {
    return id < 256 ? text::TokenType::kNormal : text::TokenType::kControl;
  }
  int num_tokens() const override { return 259; }
  const text::SpecialTokens& special() const override { return special_; }
  std::string_view model() const override { return "gpt2"; }
  std::string_view pre() const override { return "default"; }

 private:
  text::SpecialTokens special_;
  std::vector<std::string> names_;
};

// Answers every request with the events that `script` gives, or, when a pace is set, with one
// letter each few milliseconds until max_tokens.
class FakeEngine final : public EngineClient {
 public:
  using Script = std::function<std::vector<TokenEvent>(const Request&)>;

  explicit FakeEngine(Script script) : script_(std::move(script)) { SetLimits(); }
  explicit FakeEngine(std::chrono::milliseconds pace) : pace_(pace) {
    SetLimits();
    ticker_ = std::thread([this] { Tick(); });
  }
  ~FakeEngine() override {
    stopping_ = true;
    if (ticker_.joinable()) ticker_.join();
  }

  Result<std::unique_ptr<TokenStream>> Submit(Request request) override {
    if (refuse) return *refuse;
    auto state = std::make_shared<State>();
    state->engine = this;
    state->left = request.max_tokens < 0 ? 1000000 : request.max_tokens;
    state->num_prompt = static_cast<int>(request.prompt.size());
    std::vector<TokenEvent> events =
        script_ ? script_(request) : std::vector<TokenEvent>{Admitted(state->num_prompt)};
    {
      std::lock_guard lock(mutex_);
      ++submitted;
      requests.push_back(std::move(request));
      if (!script_) states_.push_back(state);
    }
    for (TokenEvent& event : events) state->Push(std::move(event));
    return std::unique_ptr<TokenStream>(std::make_unique<Stream>(std::move(state)));
  }
  EngineStats Stats() const override { return {}; }
  const EngineLimits& limits() const override { return limits_; }
  void InspectKv(std::function<void(EngineSnapshot)> done) override {
    EngineSnapshot snapshot;
    snapshot.kv.stats.groups = {{0, 4, 4, 0, 0}};
    snapshot.block_bytes = {16};
    snapshot.maps = {{1, {{BlockMap::kFree, 4}}}};
    done(std::move(snapshot));
  }

  static TokenEvent Admitted(int prompt, int cached = 0) {
    TokenEvent event;
    event.kind = TokenEvent::Kind::kAdmitted;
    event.usage.prompt_tokens = prompt;
    event.usage.cached_tokens = cached;
    return event;
  }
  static TokenEvent Token(TokenId id) {
    TokenEvent event;
    event.token = id;
    return event;
  }
  static TokenEvent Finished(FinishReason reason, int prompt, int completion) {
    TokenEvent event;
    event.kind = TokenEvent::Kind::kFinished;
    event.reason = reason;
    event.usage.prompt_tokens = prompt;
    event.usage.completion_tokens = completion;
    return event;
  }
  static TokenEvent Failed(ErrorCode code, std::string message) {
    TokenEvent event;
    event.kind = TokenEvent::Kind::kFailed;
    event.error = Error{code, std::move(message), {}};
    return event;
  }
  // The bytes of `text` as tokens, with admission and end.
  static std::vector<TokenEvent> Saying(const Request& request, std::string_view text,
                                        FinishReason reason = FinishReason::kStop) {
    const int prompt = static_cast<int>(request.prompt.size());
    std::vector<TokenEvent> events = {Admitted(prompt)};
    for (const char c : text) events.push_back(Token(static_cast<unsigned char>(c)));
    events.push_back(Finished(reason, prompt, static_cast<int>(text.size())));
    return events;
  }

  std::atomic<int> submitted{0}, cancelled{0}, finished{0};
  std::vector<Request> requests;
  std::optional<Error> refuse;  // what Submit says from now on

 private:
  struct State {
    FakeEngine* engine = nullptr;
    std::mutex mutex;
    std::vector<TokenEvent> events;
    std::function<void()> wake;
    bool ended = false, gone = false;
    int64_t left = 0;
    int num_prompt = 0, num_done = 0;

    void Push(TokenEvent event) {
      std::lock_guard lock(mutex);
      if (ended || gone) return;
      ended = event.last();
      events.push_back(std::move(event));
      if (wake) wake();
    }
  };
  struct Stream final : TokenStream {
    explicit Stream(std::shared_ptr<State> s) : state(std::move(s)) {}
    ~Stream() override {
      std::lock_guard lock(state->mutex);
      state->gone = true;
      state->wake = nullptr;
      ++(state->ended ? state->engine->finished : state->engine->cancelled);
    }
    std::vector<TokenEvent> Take() override {
      std::lock_guard lock(state->mutex);
      return std::exchange(state->events, {});
    }
    std::vector<TokenEvent> Wait() override {
      for (;;) {
        auto events = Take();
        if (!events.empty()) return events;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    void OnReady(std::function<void()> wake) override {
      std::lock_guard lock(state->mutex);
      state->wake = std::move(wake);
      if (!state->events.empty()) state->wake();
    }
    std::shared_ptr<State> state;
  };

  void SetLimits() {
    limits_.pool_tokens = 1 << 20;
    limits_.max_request_tokens = 1 << 20;
    limits_.max_sequences = 4;
    limits_.max_batch_tokens = 512;
    limits_.max_queue = 100000;
  }
  void Tick() {
    while (!stopping_) {
      std::this_thread::sleep_for(pace_);
      std::vector<std::shared_ptr<State>> states;
      {
        std::lock_guard lock(mutex_);
        std::erase_if(states_, [](const auto& s) {
          std::lock_guard state_lock(s->mutex);
          return s->ended || s->gone;
        });
        states = states_;
      }
      for (const auto& state : states) {
        if (state->num_done++ < state->left) {
          state->Push(Token('a' + state->num_done % 26));
        } else {
          state->Push(Finished(FinishReason::kLength, state->num_prompt, state->num_done - 1));
        }
      }
    }
  }

  EngineLimits limits_;
  Script script_;
  std::chrono::milliseconds pace_{0};
  std::mutex mutex_;
  std::vector<std::shared_ptr<State>> states_;
  std::atomic<bool> stopping_{false};
  std::thread ticker_;
};

inline constexpr char kChatMl[] =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

inline std::shared_ptr<api::Service> MakeFakeService(EngineClient* engine,
                                                     api::GenerationDefaults defaults = {},
                                                     std::string chat_template = kChatMl) {
  api::Service::Parts parts;
  parts.tokenizer = std::make_shared<ByteTokenizer>();
  auto chat = text::ChatTemplate::Compile(std::move(chat_template), "<s>", "<|im_end|>");
  if (chat.has_value()) parts.chat_template = std::move(chat).value();
  parts.engine = engine;
  parts.card.alias = "fake";
  parts.defaults = std::move(defaults);
  return std::make_shared<api::Service>(std::move(parts));
}

}  // namespace lb

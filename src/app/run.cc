#include "app/run.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <string>
#include <utility>

#include "api/answer.h"
#include "app/compose.h"
#include "app/load_progress.h"
#include "app/prompt_cache.h"
#include "base/log.h"

namespace lb::app {
namespace {

std::atomic<bool> g_interrupted{false};

// Ctrl-C stops the answer, not the program: that is Ctrl-D's.
void InstallInterrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_interrupted.store(true); };
  sigaction(SIGINT, &action, nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

class Chat {
 public:
  Chat(const Flags& flags, Composition& composition) : c_(composition) {
    if (!flags.system_prompt.empty()) Add("system", flags.system_prompt);
  }

  // Prints the answer to `text` as it comes; false after an error.
  bool Ask(const std::string& text) {
    Add("user", text);
    std::string body;
    {
      api::JsonWriter w;
      w.BeginObject().Key("messages").BeginArray();
      for (const auto& [role, content] : history_) {
        w.BeginObject().Key("role").String(role).Key("content").String(content).EndObject();
      }
      w.EndArray().Key("stream").Bool(false).EndObject();
      body = w.Take();
    }
    auto answer = Generate(body);
    if (!answer.has_value()) {
      std::fprintf(stderr, "error: %s\n", answer.error().message.c_str());
      history_.pop_back();
      return false;
    }
    Add("assistant", std::move(answer).value());
    return true;
  }

 private:
  void Add(std::string role, std::string content) {
    history_.emplace_back(std::move(role), std::move(content));
  }

  Result<std::string> Generate(const std::string& body) {
    LB_ASSIGN_OR_RETURN(auto order, c_.service->PrepareChat(body, {"run", ""}));
    LB_ASSIGN_OR_RETURN(auto stream, c_.engine->Submit(std::move(order.request)));
    api::Answer answer(*c_.tokenizer, order.answer, 0);
    std::string text;
    while (!answer.finished()) {
      if (g_interrupted.exchange(false)) break;
      for (const TokenEvent& event : stream->Wait()) {
        const api::Piece piece = answer.Push(event, 0);
        std::fwrite(piece.text.data(), 1, piece.text.size(), stdout);
        text += piece.text;
      }
      std::fflush(stdout);
    }
    std::fputs("\n", stdout);
    std::fflush(stdout);
    if (answer.failed()) return answer.error();
    return text;
  }

  Composition& c_;
  std::vector<std::pair<std::string, std::string>> history_;
};

// One question, or a chat until the input ends; false when a single question was not answered.
bool Converse(const Flags& flags, Composition& composition) {
  Chat chat(flags, composition);
  if (!flags.prompt.empty()) return chat.Ask(flags.prompt);
  const bool terminal = ::isatty(0) == 1;
  if (terminal) std::fputs("Ctrl-C stops an answer, Ctrl-D ends the chat.\n", stderr);
  for (;;) {
    if (terminal) std::fputs("> ", stderr);
    std::string text;
    g_interrupted.store(false);
    if (!std::getline(std::cin, text)) break;
    if (!text.empty()) chat.Ask(text);
  }
  if (terminal) std::fputs("\n", stderr);
  return true;
}

}  // namespace

int Run(const Flags& flags) {
  LoadProgressLine line;
  auto composed = Compose(flags, [&](float fraction) { line.Show(fraction); });
  if (!composed.has_value()) {
    LogError("{}", composed.error().message);
    return 1;
  }
  InstallInterrupt();
  const bool answered = Converse(flags, **composed);
  (*composed)->engine_thread->Stop(0);
  SavePromptCache(flags, **composed);
  return answered ? 0 : 1;
}

}  // namespace lb::app

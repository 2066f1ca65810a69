#include "app/run.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <string>

#include "app/compose.h"
#include "app/load_progress.h"
#include "app/prompt_cache.h"
#include "app/terminal/chat.h"
#include "app/terminal/commands.h"
#include "app/terminal/line_editor.h"
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

// At a terminal: a line editor and commands, until the user ends it.
void ChatAtTerminal(const Composition& composition, Chat* chat) {
  const api::ModelCard& card = composition.service->card();
  const CommandTarget target{chat->settings(), [chat] { chat->Clear(); }, [chat] { return chat->Check(); },
                             fmt::format("{} ({}, {:.1f} million parameters, {}), {}\ncontext: {} tokens of {} trained\n",
                                         card.name, card.arch, static_cast<double>(card.num_parameters) / 1e6,
                                         card.quantization, card.path, composition.service->limits().max_request_tokens,
                                         card.trained_context)};
  LineEditor editor(ChatHistoryFile());
  std::fputs("/help tells more; Ctrl-C stops an answer, Ctrl-D ends the chat.\n", stderr);
  for (;;) {
    const LineEditor::Input input = editor.Read();
    if (input.end == LineEditor::End::kInterrupted) {
      std::fputs("\nCtrl-D or /bye ends the chat.\n", stderr);
      continue;
    }
    if (input.end == LineEditor::End::kEndOfInput) break;
    std::string reply;
    const CommandResult result = RunCommand(input.text, target, &reply);
    if (result == CommandResult::kEnd) return;
    std::fputs(reply.c_str(), stdout);
    editor.KeepHistory(chat->settings().history);
    if (result == CommandResult::kNone && input.text.find_first_not_of(" \t\n") != std::string::npos) {
      chat->Ask(input.text);
      std::fputs("\n", stdout);
    }
  }
  std::fputs("\n", stderr);
}

// One question, or a chat until the input ends; false when a single question was not answered.
bool Converse(const Flags& flags, Composition& composition) {
  Chat chat(composition, g_interrupted);
  chat.settings().system = flags.system_prompt;
  if (!flags.prompt.empty()) return chat.Ask(flags.prompt);
  if (::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1) {
    ChatAtTerminal(composition, &chat);
    return true;
  }
  for (std::string text; std::getline(std::cin, text);) {
    if (!text.empty()) chat.Ask(text);
  }
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

#include "app/terminal/chat.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <semaphore>

#include "api/answer.h"
#include "app/terminal/markdown.h"

namespace lb::app {
namespace {

using std::chrono::steady_clock;

double NowMs() {
  return std::chrono::duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

int TerminalWidth() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void Print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

// Where an answer goes: thoughts apart from the content, each with its own style.
class Display {
 public:
  explicit Display(bool word_wrap) : terminal_(::isatty(STDOUT_FILENO) == 1) {
    if (!terminal_) return;
    const int width = word_wrap ? TerminalWidth() : 0;
    thought_.emplace(MarkdownOptions{.width = width, .markdown = false, .style = "2"});
    content_.emplace(MarkdownOptions{.width = width, .markdown = true, .style = ""});
  }

  void Show(const api::Piece& piece) {
    if (!terminal_) return Print(piece.text);
    if (!piece.reasoning.empty()) {
      thinking_ = true;
      Print(thought_->Push(piece.reasoning));
    }
    if (piece.text.empty()) return;
    EndThought();
    Print(content_->Push(piece.text));
  }

  void End() {
    if (terminal_) {
      EndThought();
      Print(content_->Finish());
    }
    Print("\n");
  }

  // How much of a long prompt has been read; told only while it takes long.
  void Reading(int64_t done, int64_t all) {
    if (!terminal_ || ::isatty(STDERR_FILENO) != 1) return;
    std::fprintf(stderr, "\rreading the prompt: %ld of %ld tokens", static_cast<long>(done), static_cast<long>(all));
    reading_ = true;
  }
  void DoneReading() {
    if (reading_) std::fputs("\r\x1b[K", stderr);
    reading_ = false;
  }

 private:
  void EndThought() {
    if (thinking_) Print(thought_->Finish() + "\n\n");
    thinking_ = false;
  }

  const bool terminal_;
  std::optional<MarkdownPrinter> thought_, content_;
  bool thinking_ = false, reading_ = false;
};

void PrintCounts(const api::Answer& answer) {
  const Usage& usage = answer.usage();
  const auto rate = [](int64_t tokens, double ms) { return ms > 0 ? 1000.0 * static_cast<double>(tokens) / ms : 0.0; };
  std::fprintf(stderr,
               "prompt: %ld tokens, %ld of them cached, %.2f s (%.1f tokens a second)\n"
               "answer: %ld tokens, %.2f s (%.1f tokens a second)\n",
               static_cast<long>(usage.prompt_tokens), static_cast<long>(usage.cached_tokens),
               answer.prefill_ms() / 1000, rate(usage.prompt_tokens - usage.cached_tokens, answer.prefill_ms()),
               static_cast<long>(usage.completion_tokens), answer.decode_ms() / 1000,
               rate(usage.completion_tokens - 1, answer.decode_ms()));
}

}  // namespace

std::string Chat::Body(const std::string& question) const {
  api::JsonWriter w;
  w.BeginObject().Key("messages").BeginArray();
  const auto message = [&w](const std::string& role, const std::string& content) {
    w.BeginObject().Key("role").String(role).Key("content").String(content).EndObject();
  };
  if (!settings_.system.empty()) message("system", settings_.system);
  for (const auto& [role, content] : history_) message(role, content);
  message("user", question);
  w.EndArray().Key("stream").Bool(true).Key("return_progress").Bool(true);
  settings_.WriteFields(&w);
  w.EndObject();
  return w.Take();
}

Result<void> Chat::Check() const {
  LB_RETURN_IF_ERROR(c_.service->PrepareChat(Body("?"), {"run", ""}));
  return {};
}

bool Chat::Ask(const std::string& text) {
  interrupted_.store(false);
  auto answer = Generate(Body(text));
  if (!answer.has_value()) {
    std::fprintf(stderr, "error: %s\n", answer.error().message.c_str());
    return false;
  }
  history_.emplace_back("user", text);
  history_.emplace_back("assistant", std::move(answer).value());
  return true;
}

Result<std::string> Chat::Generate(const std::string& body) {
  LB_ASSIGN_OR_RETURN(auto order, c_.service->PrepareChat(body, {"run", ""}));
  std::counting_semaphore<> arrived(0);
  LB_ASSIGN_OR_RETURN(auto stream, c_.engine->Submit(std::move(order.request)));
  stream->OnReady([&arrived] { arrived.release(); });
  const double start = NowMs();
  api::Answer answer(*c_.tokenizer, order.answer, start);
  Display display(settings_.word_wrap);
  std::string text;
  // A wait ends now and then, so that an interrupt is seen while a long prompt is read.
  while (!answer.finished() && !interrupted_.load()) {
    if (!arrived.try_acquire_for(std::chrono::milliseconds(50))) continue;
    for (const TokenEvent& event : stream->Take()) {
      const api::Piece piece = answer.Push(event, NowMs());
      const bool first = answer.usage().completion_tokens > 0 || answer.finished();
      if (first) {
        display.DoneReading();
      } else if (NowMs() - start > 1000) {
        display.Reading(answer.computed_tokens(), answer.usage().prompt_tokens);
      }
      display.Show(piece);
      text += piece.text;
    }
  }
  stream->OnReady(nullptr);
  display.DoneReading();
  display.End();
  if (answer.failed()) return answer.error();
  if (settings_.verbose) PrintCounts(answer);
  interrupted_.store(false);
  return text;
}

}  // namespace lb::app

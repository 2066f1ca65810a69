#include "app/terminal/line_editor.h"

#include <fcntl.h>
#include <histedit.h>
#include <langinfo.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

namespace lb::app {
namespace {

constexpr int kHistoryLines = 1000;
constexpr std::string_view kQuotes = "\"\"\"";
constexpr char kPasteEnd[] = "\x1b[201~";

// Called by libedit for the keys that are bound to them.
unsigned char InsertNewLine(EditLine* editor, int) {
  return el_insertstr(editor, "\n") == 0 ? CC_REFRESH : CC_ERROR;
}

// The terminal says where a paste begins and ends; what is between is text, line breaks included.
unsigned char InsertPaste(EditLine* editor, int) {
  std::string text;
  char c = 0;
  while (!text.ends_with(kPasteEnd) && el_getc(editor, &c) == 1) text += c == '\r' ? '\n' : c;
  if (text.ends_with(kPasteEnd)) text.resize(text.size() - (sizeof kPasteEnd - 1));
  return text.empty() || el_insertstr(editor, text.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
}

void PasteMarks(bool on) {
  std::fputs(on ? "\x1b[?2004h" : "\x1b[?2004l", stdout);
  std::fflush(stdout);
}

}  // namespace

struct LineEditor::Impl {
  std::string history_file;
  EditLine* editor = nullptr;
  History* history = nullptr;
  HistEvent event{};
  const char* prompt = ">>> ";
  bool keep = true;

  // One line without its break; false: none, and errno says why.
  bool ReadLine(std::string* line) {
    int count = 0;
    errno = 0;
    PasteMarks(true);
    const char* text = el_gets(editor, &count);
    const int error = errno;
    PasteMarks(false);
    errno = count < 0 ? error : 0;
    if (text == nullptr || count <= 0) return false;
    line->assign(text, static_cast<size_t>(count));
    if (line->ends_with('\n')) line->pop_back();
    return true;
  }

  void Remember(const std::string& text) {
    if (!keep || text.empty()) return;
    ::history(history, &event, H_ENTER, text.c_str());
    if (!history_file.empty()) ::history(history, &event, H_SAVE, history_file.c_str());
  }
};

LineEditor::LineEditor(std::string history_file) : impl_(std::make_unique<Impl>()) {
  // libedit reads characters of the locale; a terminal that is not set up writes UTF-8 all the same.
  std::setlocale(LC_CTYPE, "");
  if (std::string_view(nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
  Impl& impl = *impl_;
  impl.history_file = std::move(history_file);
  impl.history = history_init();
  ::history(impl.history, &impl.event, H_SETSIZE, kHistoryLines);
  ::history(impl.history, &impl.event, H_SETUNIQUE, 1);
  if (!impl.history_file.empty()) {
    // What people ask is nobody else's.
    const int file = ::open(impl.history_file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (file >= 0) ::close(file);
    ::history(impl.history, &impl.event, H_LOAD, impl.history_file.c_str());
  }
  impl.editor = el_init("llama-box", stdin, stdout, stderr);
  el_set(impl.editor, EL_CLIENTDATA, &impl);
  el_set(impl.editor, EL_PROMPT, +[](EditLine* editor) {
    Impl* owner = nullptr;
    el_get(editor, EL_CLIENTDATA, &owner);
    return const_cast<char*>(owner->prompt);
  });
  el_set(impl.editor, EL_SIGNAL, 1);
  el_set(impl.editor, EL_EDITOR, "emacs");
  el_set(impl.editor, EL_HIST, ::history, impl.history);
  el_set(impl.editor, EL_ADDFN, "insert-new-line", "Begin another line", &InsertNewLine);
  el_set(impl.editor, EL_ADDFN, "insert-paste", "Insert what is pasted", &InsertPaste);
  for (const auto& [keys, function] : {std::pair{"\\e\\r", "insert-new-line"}, std::pair{"\\e\\n", "insert-new-line"},
                                       std::pair{"\\e[200~", "insert-paste"}, std::pair{"^R", "em-inc-search-prev"}}) {
    el_set(impl.editor, EL_BIND, keys, function, nullptr);
  }
  el_source(impl.editor, nullptr);  // ~/.editrc
}

LineEditor::~LineEditor() {
  el_end(impl_->editor);
  history_end(impl_->history);
}

void LineEditor::KeepHistory(bool keep) { impl_->keep = keep; }

LineEditor::Input LineEditor::Read() {
  Impl& impl = *impl_;
  std::string text, line;
  bool quoted = false;
  impl.prompt = ">>> ";
  for (;;) {
    if (!impl.ReadLine(&line)) {
      return {errno == EINTR ? End::kInterrupted : End::kEndOfInput, {}};
    }
    impl.prompt = "... ";
    if (!quoted && text.empty() && line.starts_with(kQuotes)) {
      quoted = true;
      line.erase(0, kQuotes.size());
      if (line.empty()) continue;
    }
    if (quoted && line.ends_with(kQuotes)) {
      text += line.substr(0, line.size() - kQuotes.size());
      break;
    }
    const bool goes_on = !quoted && line.ends_with('\\');
    if (goes_on) line.back() = '\n';
    text += line;
    if (quoted) text += '\n';
    if (!quoted && !goes_on) break;
  }
  if (quoted && text.ends_with('\n')) text.pop_back();
  impl.Remember(text);
  return {End::kText, std::move(text)};
}

std::string ChatHistoryFile() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  std::filesystem::path folder;
  if (state != nullptr && *state == '/') {
    folder = state;
  } else if (home != nullptr && *home == '/') {
    folder = std::filesystem::path(home) / ".local" / "state";
  } else {
    return {};
  }
  folder /= "llama-box";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  return error ? std::string() : (folder / "history").string();
}

}  // namespace lb::app

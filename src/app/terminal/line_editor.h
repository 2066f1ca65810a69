// Lines typed at a terminal.
#pragma once

#include <memory>
#include <string>

namespace lb::app {

// Emacs' keys, history over the arrows and Ctrl-R, ~/.editrc, by libedit. A paste of several lines
// stays one input; Alt-Enter begins another line; """ on a line of its own or before the first word
// begins a text that goes on until the next """; a backslash at a line's end goes on, too. One
// thread; standard input and output must be terminals.
class LineEditor {
 public:
  // `history_file` "": the history ends with the program.
  explicit LineEditor(std::string history_file);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  enum class End { kText, kInterrupted, kEndOfInput };
  struct Input {
    End end = End::kText;
    std::string text;
  };
  // Waits for an input that is complete. kInterrupted: a signal came (Ctrl-C), and what was typed
  // is gone.
  Input Read();

  void KeepHistory(bool keep);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Where the history of chats lies: under $XDG_STATE_HOME or ~/.local/state; "" without a home. Makes
// the folder.
std::string ChatHistoryFile();

}  // namespace lb::app

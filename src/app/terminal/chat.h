// A conversation with a loaded model, printed to standard output as it comes.
#pragma once

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "app/compose.h"
#include "app/terminal/chat_settings.h"

namespace lb::app {

// One thread. With a terminal behind standard output answers are styled (markdown.h) and thoughts
// are dim; else they are written as they are, thoughts left out.
class Chat {
 public:
  // `interrupted` is set from outside (a signal); it ends the answer that runs, and is cleared.
  Chat(Composition& composition, std::atomic<bool>& interrupted)
      : c_(composition), interrupted_(interrupted) {}

  ChatSettings& settings() { return settings_; }

  // Prints the answer to `text`; false after an error, which is printed too and leaves the
  // conversation as it was.
  bool Ask(const std::string& text);
  // Forgets all but the settings.
  void Clear() { history_.clear(); }
  // Whether a question could be asked under the settings.
  Result<void> Check() const;

 private:
  std::string Body(const std::string& question) const;
  Result<std::string> Generate(const std::string& body);

  Composition& c_;
  std::atomic<bool>& interrupted_;
  ChatSettings settings_;
  std::vector<std::pair<std::string, std::string>> history_;  // role, content
};

}  // namespace lb::app

// Lines of a chat that begin with a slash.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "app/terminal/chat_settings.h"
#include "base/result.h"

namespace lb::app {

// What commands act on.
struct CommandTarget {
  ChatSettings& settings;
  std::function<void()> clear;                    // forgets the conversation
  std::function<Result<void>()> check;            // whether the settings fit together
  std::string info;                               // of the model, for /show info
};

enum class CommandResult { kNone, kDone, kEnd };

// Runs `line` if it is a command; what it says goes to `*reply`. kNone: it is a message to the model
// ("/usr/bin is what?" is one). kEnd: the chat is over. Settings that are refused stay as they were.
CommandResult RunCommand(std::string_view line, const CommandTarget& target, std::string* reply);

}  // namespace lb::app

#include "app/terminal/commands.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace lb::app {
namespace {

constexpr std::string_view kHelp =
    "/system TEXT                  a system message from here on; without a text: none\n"
    "/set parameter NAME VALUE     temperature, top_p, num_predict, stop and others\n"
    "/set think | nothink          ask for thoughts, or for none\n"
    "/set format json | noformat   answers are JSON objects, or free\n"
    "/set verbose | quiet          counts and speeds after each answer, or not\n"
    "/set wordwrap | nowordwrap    lines are broken between words, or by the terminal\n"
    "/set history | nohistory      what is typed is remembered, or not\n"
    "/show info | system | parameters\n"
    "/clear                        forget the conversation\n"
    "/bye                          end (also Ctrl-D)\n"
    "/help                         this (also /?)\n"
    "\n"
    "Ctrl-C stops an answer. Alt-Enter begins another line; \"\"\" begins and ends a text of several\n"
    "lines. Ctrl-R searches what was typed before.\n";

struct Words {
  std::vector<std::string> all;
  std::string_view rest;  // behind the first
};

Words Split(std::string_view line) {
  Words words;
  for (size_t pos = 0; pos < line.size();) {
    const size_t begin = line.find_first_not_of(" \t\n", pos);
    if (begin == std::string_view::npos) break;
    pos = std::min(line.find_first_of(" \t\n", begin), line.size());
    words.all.emplace_back(line.substr(begin, pos - begin));
    if (words.all.size() == 1) {
      const size_t next = line.find_first_not_of(" \t\n", pos);
      words.rest = next == std::string_view::npos ? std::string_view() : line.substr(next);
    }
  }
  return words;
}

// Quotes around a whole text are the user's way to say where it ends.
std::string Unquote(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return std::string(text);
}

std::string SetSystem(std::string_view text, ChatSettings* settings) {
  settings->system = Unquote(text);
  return settings->system.empty() ? "no system message\n" : "system message set\n";
}

// `words` without the slash's; "" when it is none of these.
std::string SetOption(const std::vector<std::string>& words, std::string_view rest, ChatSettings* s) {
  const std::string name = words.size() > 1 ? words[1] : "";
  if (name == "system") {
    const size_t text = rest.find_first_not_of(" \t\n", name.size());
    return SetSystem(text == std::string_view::npos ? std::string_view() : rest.substr(text), s);
  }
  if (name == "parameter" && words.size() > 3) {
    const auto set = s->SetParameter(words[2], {words.begin() + 3, words.end()});
    return set ? fmt::format("{} set\n", words[2]) : "error: " + set.error().message + "\n";
  }
  if (name == "format" && words.size() == 3 && words[2] == "json") {
    s->json = true;
    return "answers are JSON objects\n";
  }
  if (name == "noformat") {
    s->json = false;
    return "answers are free\n";
  }
  const std::pair<std::string_view, bool ChatSettings::*> switches[] = {
      {"verbose", &ChatSettings::verbose}, {"history", &ChatSettings::history}, {"wordwrap", &ChatSettings::word_wrap}};
  for (const auto& [word, member] : switches) {
    if (name == word || name == fmt::format("no{}", word)) {
      s->*member = name == word;
      return fmt::format("{}: {}\n", word, s->*member ? "on" : "off");
    }
  }
  if (name == "quiet") {
    s->verbose = false;
    return "verbose: off\n";
  }
  if (name == "think" || name == "nothink") {
    s->think = name == "think";
    return fmt::format("thoughts: {}\n", *s->think ? "on" : "off");
  }
  return {};
}

bool IsCommand(const std::string& word) {
  return word.size() > 1 && word[0] == '/' && word.find('/', 1) == std::string::npos && word.find('.') == std::string::npos;
}

}  // namespace

CommandResult RunCommand(std::string_view line, const CommandTarget& target, std::string* reply) {
  const Words words = Split(line);
  reply->clear();
  if (words.all.empty() || !IsCommand(words.all[0])) return CommandResult::kNone;
  const std::string& name = words.all[0];
  const std::string argument = words.all.size() > 1 ? words.all[1] : "";
  if (name == "/bye" || name == "/exit") return CommandResult::kEnd;
  if (name == "/help" || name == "/?") {
    *reply = kHelp;
  } else if (name == "/clear") {
    target.clear();
    *reply = "the conversation is forgotten\n";
  } else if (name == "/system" || name == "/set") {
    const ChatSettings before = target.settings;
    *reply = name == "/system" ? SetSystem(words.rest, &target.settings)
                               : SetOption(words.all, words.rest, &target.settings);
    if (const auto fits = target.check(); !fits.has_value()) {
      target.settings = before;
      *reply = "error: " + fits.error().message + "\n";
    }
    if (reply->empty()) *reply = "/set what? /help tells\n";
  } else if (name == "/show" && argument == "system") {
    *reply = target.settings.system.empty() ? "no system message\n" : target.settings.system + "\n";
  } else if (name == "/show" && argument == "parameters") {
    *reply = target.settings.ShowParameters();
  } else if (name == "/show") {
    *reply = target.info;
  } else {
    *reply = fmt::format("no command {}: /help tells which there are\n", name);
  }
  return CommandResult::kDone;
}

}  // namespace lb::app

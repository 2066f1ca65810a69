// What a chat in the terminal can be told with /set and /system, as fields of a chat request.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/json_writer.h"
#include "base/result.h"

namespace lb::app {

class ChatSettings {
 public:
  std::string system;           // "": no system message
  std::optional<bool> think;    // none: as the template and the flags have it
  bool json = false;            // answers are JSON objects
  bool verbose = false;         // counts and speeds after each answer
  bool history = true;
  bool word_wrap = true;

  // `name` as Ollama or OpenAI call it (num_predict, max_tokens). kInvalidArgument names what there
  // is; whether a value fits its field is for who answers the request to say.
  Result<void> SetParameter(std::string_view name, const std::vector<std::string>& values);
  // One a line, as they were set.
  std::string ShowParameters() const;

  // Writes the fields, but for the system message.
  void WriteFields(api::JsonWriter* w) const;

 private:
  std::map<std::string, std::string> parameters_;  // field to JSON
};

}  // namespace lb::app

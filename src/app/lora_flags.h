// --lora and --lora-scaled, whose order together numbers the adapters.
#pragma once

#include <string>
#include <vector>

#include "app/flags.h"

namespace CLI {
class App;  // its header takes seconds to compile
}

namespace lb::app {

void AddLoraFlags(CLI::App& app, Flags* flags);

// Takes the values of the flag `name` at arguments[*at] (`--lora F`, `--lora F,G`, `--lora-scaled F
// SCALE`, `--lora-scaled F:SCALE,...`, each also as `--flag=value`) and leaves *at at the last of
// them. kInvalidArgument for a scale that is none.
Result<void> TakeLoraFlag(const std::string& name, const std::vector<std::string>& arguments,
                          size_t* at, Flags* flags);
bool IsLoraFlag(const std::string& name);

}  // namespace lb::app

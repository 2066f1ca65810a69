// Flags of llama-box and llama-server that change nothing here. Their users' command lines start
// this server all the same, and one line tells each of them why the flag is not needed.
#pragma once

#include <string_view>

namespace lb::app {

struct IdleFlag {
  std::string_view names;  // all spellings, with spaces between
  int num_values;          // words that belong to it; kSwitch: on, off or auto may follow
  std::string_view why;
};

inline constexpr int kSwitch = -1;

// By any of its spellings; null for a flag that nobody has.
const IdleFlag* FindIdleFlag(std::string_view name);

// Flags that ask for what this server cannot do in a way that its caller must not overlook: the
// reason, or nothing. `value` is what was given with it.
std::string_view RefusalOfFlag(std::string_view name, std::string_view value);

}  // namespace lb::app

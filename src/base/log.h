// One line per event, `key=value`, to standard error. A thin front to spdlog, so that no other
// folder names it.
#pragma once

#include <spdlog/spdlog.h>

namespace lb {

// `verbosity` as users of llama-box know it: 0 warnings and the life of the process, 1 one line per
// request, 2 cache lines, 3 the pool at every admission, pause, eviction and finish, 6 everything.
void SetLogVerbosity(int verbosity);
int LogVerbosity();

template <typename... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::info(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogWarning(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::warn(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogError(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::error(fmt::format(format, std::forward<Args>(args)...));
}
// Shown from `level` of --verbosity on.
template <typename... Args>
void LogVerbose(int level, fmt::format_string<Args...> format, Args&&... args) {
  if (LogVerbosity() >= level) spdlog::info(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace lb

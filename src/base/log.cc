#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <atomic>
#include <memory>

namespace lb {
namespace {
std::atomic<int> g_verbosity{1};
}  // namespace

void SetLogVerbosity(int verbosity) {
  static const bool installed = [] {
    auto logger = std::make_shared<spdlog::logger>(
        "llama-box", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    logger->set_pattern("[%Y-%m-%d %H:%M:%S.%e] %^%L%$ %v");
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
    return true;
  }();
  static_cast<void>(installed);
  g_verbosity.store(verbosity, std::memory_order_relaxed);
}

int LogVerbosity() { return g_verbosity.load(std::memory_order_relaxed); }

}  // namespace lb

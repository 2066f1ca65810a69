#include "app/serve.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "app/compose.h"
#include "app/load_progress.h"
#include "app/prompt_cache.h"
#include "app/service_manager.h"
#include "base/log.h"
#include "server/http_server.h"
#include "server/metrics.h"
#include "server/readiness.h"
#include "server/routes.h"
#include "server/web_page.h"

namespace lb::app {
namespace {

// From the signal until nothing runs any more, at the very most.
constexpr auto kStopLimit = std::chrono::milliseconds(2800);
std::atomic<bool> g_stopped{false};
constexpr int kLoaded = SIGUSR1;

sigset_t Signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, kLoaded);
  return set;
}

// A connection is a descriptor: take as many as the system gives.
void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// The keys of --api-key, and those of --api-key-file, one a line.
Result<std::vector<std::string>> ApiKeys(const Flags& flags) {
  std::vector<std::string> keys = flags.api_keys;
  if (flags.api_key_file.empty()) return keys;
  std::ifstream in(flags.api_key_file);
  for (std::string line; std::getline(in, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) keys.push_back(std::move(line));
  }
  // A file that gives no key would leave the server open to everybody.
  if (keys.size() == flags.api_keys.size()) {
    return Fail(ErrorCode::kInvalidArgument, "--api-key-file {}: no key in it, or not readable",
                flags.api_key_file);
  }
  return keys;
}

Result<server::ServerConfig> MakeServerConfig(const Flags& flags) {
  server::ServerConfig config;
  config.host = flags.host;
  config.port = flags.port;
  config.io_threads = flags.http_threads;
  config.worker_threads =
      static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 2u, 8u));
  config.body_seconds = flags.timeout_seconds;
  config.idle_seconds = std::min(flags.idle_seconds, flags.timeout_seconds);
  LB_ASSIGN_OR_RETURN(config.api_keys, ApiKeys(flags));
  config.tls_cert_file = flags.ssl_cert_file;
  config.tls_key_file = flags.ssl_key_file;
  config.cors_origins = flags.cors_origins;
  return config;
}

Result<void> AddPage(const Flags& flags, server::Router* routes) {
  if (!flags.webui) return {};
  if (!flags.web_folder.empty()) return server::AddWebFolder(flags.web_folder, routes);
  return server::AddWebPage(flags.webui_connect, routes);
}

// Headers and bodies are not logged at any level.
void LogRequest(const server::RequestLog& log) {
  const bool quiet = log.request->path == "/health" || log.request->path == "/metrics";
  LogVerbose(quiet ? 2 : 1, "request id={} peer={} {} {} status={} ms={:.1f}{}",
             log.request->request_id, log.request->peer, log.request->method,
             log.request->path.substr(0, 80), log.status, log.seconds * 1000,
             log.client_gone ? " client=gone" : "");
}

// Ends the process when stopping takes longer than anybody should wait for.
void StartStopWatchdog() {
  std::thread([] {
    std::this_thread::sleep_for(kStopLimit);
    if (g_stopped.load()) return;
    LogWarning("stopping took too long; leaving now");
    std::_Exit(0);
  }).detach();
}

}  // namespace

void BlockSignals() {
  const sigset_t set = Signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int Serve(const Flags& flags) {
  RaiseDescriptorLimit();
  server::Readiness readiness;
  server::Metrics metrics;
  auto config = MakeServerConfig(flags);
  if (!config.has_value()) {
    LogError("{}", config.error().message);
    return 1;
  }
  server::Router routes = server::MakeRoutes(readiness, metrics, flags.slots);
  const auto page = AddPage(flags, &routes);
  if (!page.has_value()) {
    LogError("{}", page.error().message);
    return 1;
  }
  auto listening = server::HttpServer::Listen(
      std::move(config).value(), std::move(routes),
      [&metrics](const server::RequestLog& log) {
        metrics.OnRequest(log);
        LogRequest(log);
      });
  if (!listening.has_value()) {
    LogError("{}", listening.error().message);
    return 1;
  }
  server::HttpServer& http = **listening;
  http.Start();
  LogInfo("listening on {} (503 until the model is loaded)", http.url());

  // Loads beside the thread that waits for signals, so that both can end it.
  std::optional<Result<std::unique_ptr<Composition>>> loaded;
  const pthread_t waiter = pthread_self();
  std::thread loader([&] {
    LoadProgressLine line;
    int told = -1;  // per cent
    loaded.emplace(Compose(flags, [&](float fraction) {
      readiness.SetProgress(fraction);
      line.Show(fraction);
      const int percent = static_cast<int>(fraction * 100.0f);
      if (percent > told) NotifyServiceManager(fmt::format("STATUS=loading, {} %", told = percent));
    }));
    pthread_kill(waiter, kLoaded);
  });
  const sigset_t set = Signals();
  int signal_number = 0;
  sigwait(&set, &signal_number);
  if (signal_number != kLoaded) {
    LogInfo("stopped while loading");
    std::_Exit(0);  // nothing is open yet that would need an end
  }
  loader.join();
  if (!loaded->has_value()) {
    LogError("{}", loaded->error().message);
    http.Stop();
    return 1;
  }
  Composition& composition = ***loaded;
  if (flags.mlock && mlockall(MCL_CURRENT) != 0) {
    LogWarning("--mlock: {} (ulimit -l says how much may be locked)", std::strerror(errno));
  }
  readiness.SetReady(composition.service);
  LogInfo("ready: {}/v1 (model {})", http.url(), composition.service->card().alias);
  NotifyServiceManager(fmt::format("READY=1\nSTATUS=serving {}", composition.service->card().alias));

  sigwait(&set, &signal_number);
  LogInfo("{}: finishing what runs", signal_number == SIGINT ? "SIGINT" : "SIGTERM");
  NotifyServiceManager("STOPPING=1");
  StartStopWatchdog();
  composition.engine->StopAccepting();
  http.Stop();
  composition.engine_thread->Stop(0);
  // How long this takes is the cache's size and the disk's: no limit but who sent the signal.
  g_stopped.store(true);
  SavePromptCache(flags, composition);
  LogInfo("stopped");
  return 0;
}

}  // namespace lb::app

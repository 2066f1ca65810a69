#include "app/serve.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>
#include <utility>

#include "app/compose.h"
#include "app/load_progress.h"
#include "app/model_hub.h"
#include "app/model_list.h"
#include "app/service_manager.h"
#include "base/log.h"
#include "base/system_memory.h"
#include "server/http_server.h"
#include "server/metrics.h"
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

namespace {

// The one model of -m, or those of --models-dir.
Result<std::unique_ptr<ModelHub>> MakeHub(const Flags& flags) {
  HubConfig config;
  config.sleep_seconds = flags.sleep_idle_seconds;
  std::vector<ListedModel> models;
  if (flags.models_dir.empty()) {
    const std::string file = std::filesystem::path(flags.model).filename().string();
    models.push_back({flags.alias.empty() ? file : flags.alias, flags.model, {}, {}, {}});
    return std::make_unique<ModelHub>(config, flags, std::move(models));
  }
  config.many = true;
  config.most_models = flags.models_max;
  config.autoload = flags.models_autoload;
  LB_ASSIGN_OR_RETURN(config.memory_bytes, ParseMemorySize("--models-memory", flags.models_memory));
  if (config.memory_bytes == 0) config.memory_bytes = AvailableMemory() / 10 * 9;
  if (config.memory_bytes == 0) config.memory_bytes = int64_t{1} << 50;  // the system does not say
  LB_ASSIGN_OR_RETURN(models, ListModels(flags, flags.models_dir));
  LogInfo("{} models in {}, {:.0f} MiB of memory for them", models.size(), flags.models_dir,
          static_cast<double>(config.memory_bytes) / (1 << 20));
  return std::make_unique<ModelHub>(config, flags, std::move(models));
}

}  // namespace

int Serve(const Flags& flags) {
  RaiseDescriptorLimit();
  server::Metrics metrics;
  auto config = MakeServerConfig(flags);
  auto made = MakeHub(flags);
  for (const Error* error : {config.has_value() ? nullptr : &config.error(),
                             made.has_value() ? nullptr : &made.error()}) {
    if (error == nullptr) continue;
    LogError("{}", error->message);
    return 1;
  }
  ModelHub& hub = **made;
  server::Router routes = server::MakeRoutes(hub, metrics, flags.slots);
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
  if (!hub.many()) LogInfo("listening on {} (503 until the model is loaded)", http.url());

  // Loads beside the thread that waits for signals, so that both can end it.
  Result<void> loaded;
  const pthread_t waiter = pthread_self();
  LoadProgressLine line;
  LoadProgress progress;
  int told = -1;  // per cent
  if (!hub.many()) {
    progress = [&](float fraction) {
      line.Show(fraction);
      const int percent = static_cast<int>(fraction * 100.0f);
      if (percent > told) NotifyServiceManager(fmt::format("STATUS=loading, {} %", told = percent));
    };
  }
  hub.Start(progress, [&](Result<void> how) {
    loaded = std::move(how);
    pthread_kill(waiter, kLoaded);
  });
  const sigset_t set = Signals();
  int signal_number = 0;
  if (!hub.many()) {
    sigwait(&set, &signal_number);
    if (signal_number != kLoaded) {
      LogInfo("stopped while loading");
      std::_Exit(0);  // nothing is open yet that would need an end
    }
    if (!loaded.has_value()) {
      LogError("{}", loaded.error().message);
      http.Stop();
      hub.Stop();
      return 1;
    }
    const std::string alias = hub.List().front().card.alias;
    LogInfo("ready: {}/v1 (model {})", http.url(), alias);
    NotifyServiceManager(fmt::format("READY=1\nSTATUS=serving {}", alias));
  } else {
    LogInfo("ready: {}/v1", http.url());
    NotifyServiceManager(fmt::format("READY=1\nSTATUS=serving the models of {}", flags.models_dir));
  }

  sigwait(&set, &signal_number);
  LogInfo("{}: finishing what runs", signal_number == SIGINT ? "SIGINT" : "SIGTERM");
  NotifyServiceManager("STOPPING=1");
  StartStopWatchdog();
  hub.StopAccepting();
  http.Stop();
  // How long saving takes is the cache's size and the disk's: no limit but who sent the signal.
  hub.Stop([] { g_stopped.store(true); });
  LogInfo("stopped");
  return 0;
}

}  // namespace lb::app

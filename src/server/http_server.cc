#include "server/http_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "server/session.h"
#include "server/tls.h"

namespace lb::server {
using boost::system::error_code;
using tcp = asio::ip::tcp;
using local = asio::local::stream_protocol;
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

bool IsUnixPath(const std::string& host) {
  return host.size() > 5 && host.compare(host.size() - 5, 5, ".sock") == 0;
}

}  // namespace

struct HttpServer::Impl {
  SessionContext context;
  asio::thread_pool workers;
  asio::io_context io;
  std::optional<tcp::acceptor> tcp_acceptor;
  std::optional<local::acceptor> local_acceptor;
  std::string socket_path;  // to remove at the end
  int port = 0;
  std::vector<std::thread> threads;
  mutable std::mutex mutex;
  std::unordered_map<Session*, std::weak_ptr<Session>> sessions;
  std::unique_ptr<asio::ssl::context> tls;  // null: plain connections
  int num_tls = 0;                          // connections that carry a session's bytes

  explicit Impl(ServerConfig config)
      : workers(static_cast<size_t>(std::max(1, config.worker_threads))),
        io(std::max(1, config.io_threads)) {
    context.config = std::move(config);
    context.workers = &workers;
  }

  Result<void> ListenTcp();
  Result<void> ListenLocal();
  template <typename Acceptor>
  asio::awaitable<void> AcceptLoop(Acceptor& acceptor);
  void Open(Session::Socket socket, std::string peer);
  void OpenTls(tcp::socket socket, std::string peer);
  template <typename F>
  void ForEachSession(F&& f) {
    std::vector<std::shared_ptr<Session>> alive;
    {
      std::lock_guard lock(mutex);
      for (auto& [key, weak] : sessions) {
        if (auto session = weak.lock()) alive.push_back(std::move(session));
      }
    }
    for (auto& session : alive) f(*session);
  }
  int num_sessions() const {
    std::lock_guard lock(mutex);
    return static_cast<int>(sessions.size());
  }
  // What TLS still carries was written by its session, but has not reached the client.
  int num_open() const {
    std::lock_guard lock(mutex);
    return static_cast<int>(sessions.size()) + num_tls;
  }
  // True when there is none left.
  bool WaitForSessions(double seconds) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (num_open() > 0) {
      if (std::chrono::steady_clock::now() >= end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
};

Result<void> HttpServer::Impl::ListenTcp() {
  const ServerConfig& config = context.config;
  error_code ec;
  tcp::resolver resolver(io);
  const auto found = resolver.resolve(config.host, std::to_string(config.port),
                                      tcp::resolver::passive | tcp::resolver::numeric_service, ec);
  if (ec || found.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "--host {}: {}", config.host, ec.message());
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  tcp_acceptor.emplace(io);
  tcp_acceptor->open(endpoint.protocol(), ec);
  if (!ec) tcp_acceptor->set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) tcp_acceptor->bind(endpoint, ec);
  if (!ec) tcp_acceptor->listen(asio::socket_base::max_listen_connections, ec);
  if (ec) {
    return Fail(ErrorCode::kIo, "cannot listen on {}:{}: {}", config.host, config.port, ec.message());
  }
  port = tcp_acceptor->local_endpoint(ec).port();
  return {};
}

Result<void> HttpServer::Impl::ListenLocal() {
  const std::string& path = context.config.host;
  error_code ec;
  // What an earlier run left behind would be in the way; anything but a socket is not ours.
  struct stat info;
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) {
      return Fail(ErrorCode::kInvalidArgument, "--host {}: exists and is not a socket", path);
    }
    local::socket probe(io);
    probe.connect(local::endpoint(path), ec);
    if (!ec) return Fail(ErrorCode::kIo, "--host {}: another process listens there", path);
    ::unlink(path.c_str());
  }
  ec = {};
  if (path.size() > 107) {
    return Fail(ErrorCode::kInvalidArgument, "--host {}: a socket's path may have 107 bytes", path);
  }
  local_acceptor.emplace(io);
  local_acceptor->open(local(), ec);
  if (!ec) local_acceptor->bind(local::endpoint(path), ec);
  if (!ec) local_acceptor->listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return Fail(ErrorCode::kIo, "cannot listen on {}: {}", path, ec.message());
  socket_path = path;
  return {};
}

template <typename Acceptor>
asio::awaitable<void> HttpServer::Impl::AcceptLoop(Acceptor& acceptor) {
  constexpr bool kTcp = std::is_same_v<Acceptor, tcp::acceptor>;
  while (!context.stopping.load()) {
    auto [ec, socket] = co_await acceptor.async_accept(asio::make_strand(io), kTuple);
    if (context.stopping.load()) break;
    if (ec) {
      // Out of descriptors, most likely: those that are open will close.
      LogWarning("accept failed: {}", ec.message());
      asio::steady_timer pause(io, std::chrono::milliseconds(50));
      co_await pause.async_wait(kTuple);
      continue;
    }
    std::string peer = "unix";
    if constexpr (kTcp) {
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      peer = socket.remote_endpoint(ignored).address().to_string();
      if (tls) {
        OpenTls(std::move(socket), std::move(peer));
        continue;
      }
    }
    Open(Session::Socket(std::move(socket)), std::move(peer));
  }
}

void HttpServer::Impl::Open(Session::Socket socket, std::string peer) {
  auto session = std::make_shared<Session>(context, std::move(socket), std::move(peer));
  {
    std::lock_guard lock(mutex);
    sessions.emplace(session.get(), session);
  }
  Session* key = session.get();
  session->Start([this, key] {
    std::lock_guard lock(mutex);
    sessions.erase(key);
  });
}

void HttpServer::Impl::OpenTls(tcp::socket socket, std::string peer) {
  const auto executor = socket.get_executor();
  {
    std::lock_guard lock(mutex);
    ++num_tls;
  }
  auto open = [this, peer = std::move(peer)](Session::Socket inner) { Open(std::move(inner), peer); };
  asio::co_spawn(executor, CarryTls(std::move(socket), *tls, std::move(open)),
                 [this](std::exception_ptr) {
                   std::lock_guard lock(mutex);
                   --num_tls;
                 });
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() { Stop(); }

Result<std::unique_ptr<HttpServer>> HttpServer::Listen(
    ServerConfig config, Router router, std::function<void(const RequestLog&)> on_request) {
  auto impl = std::make_unique<Impl>(std::move(config));
  impl->context.router = std::move(router);
  impl->context.on_request = std::move(on_request);
  const ServerConfig& settings = impl->context.config;
  if (!settings.tls_cert_file.empty()) {
    LB_ASSIGN_OR_RETURN(impl->tls, LoadTls(settings.tls_cert_file, settings.tls_key_file));
  }
  const bool unix_socket = IsUnixPath(settings.host);
  LB_RETURN_IF_ERROR(unix_socket ? impl->ListenLocal() : impl->ListenTcp());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const { return impl_->port; }

int HttpServer::num_connections() const { return impl_->num_sessions(); }

std::string HttpServer::url() const {
  if (!impl_->socket_path.empty()) return "unix:" + impl_->socket_path;
  std::string host = impl_->context.config.host;
  // What listens everywhere is reached here.
  if (host == "0.0.0.0" || host == "::") host = "127.0.0.1";
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return fmt::format("{}://{}:{}", impl_->tls ? "https" : "http", host, impl_->port);
}

void HttpServer::Start() {
  Impl& impl = *impl_;
  if (impl.tcp_acceptor) {
    asio::co_spawn(impl.io, impl.AcceptLoop(*impl.tcp_acceptor), asio::detached);
  }
  if (impl.local_acceptor) {
    asio::co_spawn(impl.io, impl.AcceptLoop(*impl.local_acceptor), asio::detached);
  }
  for (int i = 0; i < std::max(1, impl.context.config.io_threads); ++i) {
    impl.threads.emplace_back([&impl] { impl.io.run(); });
  }
}

void HttpServer::Stop() {
  Impl& impl = *impl_;
  if (impl.context.stopping.exchange(true)) return;
  asio::post(impl.io, [&impl] {
    error_code ignored;
    if (impl.tcp_acceptor) impl.tcp_acceptor->close(ignored);
    if (impl.local_acceptor) impl.local_acceptor->close(ignored);
  });
  if (!impl.socket_path.empty()) ::unlink(impl.socket_path.c_str());
  if (!impl.threads.empty()) {
    impl.ForEachSession([](Session& session) { session.BeginStop(); });
    if (!impl.WaitForSessions(impl.context.config.drain_seconds)) {
      impl.ForEachSession([](Session& session) { session.EndAnswers(); });
      impl.WaitForSessions(0.5);
    }
  }
  // Not stop(): tasks left in its queue would outlive the executors that they come back to.
  impl.workers.join();
  impl.io.stop();
  for (std::thread& thread : impl.threads) thread.join();
  impl.threads.clear();
}

}  // namespace lb::server

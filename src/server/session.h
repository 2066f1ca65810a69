// One connection. Internal to server/: the only header that names Asio.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "server/http_server.h"
#include "server/router.h"

namespace lb::server {

namespace asio = boost::asio;

// What all connections of a server share. Outlives them.
struct SessionContext {
  ServerConfig config;
  Router router;
  std::function<void(const RequestLog&)> on_request;
  asio::thread_pool* workers = nullptr;
  std::atomic<bool> stopping{false};
};

// Everything runs on the socket's executor, which is a strand. A read is always pending beside
// whatever else goes on: it sees a client that leaves, and keeps a pipelined request for later.
// (Waiting for readability instead was tried by others and ended live streams.)
class Session : public std::enable_shared_from_this<Session> {
 public:
  using Socket = asio::generic::stream_protocol::socket;
  Session(SessionContext& context, Socket socket, std::string peer);

  // Serves until the connection ends; calls `on_end` then.
  void Start(std::function<void()> on_end);
  // No more requests: an idle connection closes at once, and so does one with an endless stream.
  // Any thread.
  void BeginStop();
  // Ends a running answer with an error. Any thread.
  void EndAnswers();

 private:
  enum class Read { kRequest, kReplied, kClose };

  asio::awaitable<void> Run();
  // Reads one request. kReplied: it was refused, and the connection can go on; kClose: it cannot.
  asio::awaitable<Read> ReadRequest();
  asio::awaitable<Outcome> Handle(const Route& route);
  asio::awaitable<void> Answer();
  // What the route says once its model is there.
  asio::awaitable<Outcome> WaitForModel(const Route& route, std::shared_ptr<LoadTicket> ticket);
  asio::awaitable<void> SendReply(HttpReply reply);
  // True when the head of a stream went out.
  asio::awaitable<bool> SendStream(api::PendingReply& generation);
  asio::awaitable<void> RunGeneration(std::unique_ptr<api::PendingReply> generation);
  // Sends a last reply and lets the client read it before the socket goes.
  asio::awaitable<void> Refuse(HttpReply reply);
  asio::awaitable<bool> Write(std::string bytes);
  void EndAnswer();

  HttpReply Preflight(const std::string& allow) const;
  void AddCommonHeaders(HttpReply* reply) const;
  void Log(int status, const api::PendingReply* generation);

  void StartWatch();
  void OnWatch(boost::system::error_code ec, size_t bytes);
  asio::awaitable<void> StopWatch();
  asio::awaitable<void> WaitForWake(std::chrono::steady_clock::time_point until);
  void Wake();
  std::function<void()> WakeFunction();
  void SetDeadline(double seconds);
  void ClearDeadline();

  SessionContext& context_;
  Socket socket_;
  const std::string peer_;
  boost::beast::flat_buffer buffer_;
  asio::steady_timer deadline_;
  asio::steady_timer wake_;
  asio::cancellation_signal cancel_watch_;
  uint64_t deadline_number_ = 0;
  bool watching_ = false;      // a read is pending
  bool watch_wanted_ = false;  // it should be followed by another
  bool gone_ = false;        // the client left, or the connection broke
  bool timed_out_ = false;
  bool reading_head_ = false;  // waiting for a request: nothing is lost by closing
  bool end_answers_ = false;
  bool endless_ = false;     // the reply that is being sent would never end by itself
  bool events_ = false;      // the generation has something to take

  HttpRequest request_;
  api::ErrorForm errors_ = api::ErrorForm::kOpenAi;  // of the request's route
  bool keep_alive_ = false;
  bool http_1_0_ = false;
  bool head_only_ = false;
  std::chrono::steady_clock::time_point request_start_;
};

}  // namespace lb::server

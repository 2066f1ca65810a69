#include "server/session.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace lb::server {
namespace http = boost::beast::http;
using boost::system::error_code;
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
// Of requests that arrive before their turn; more stays in the kernel.
constexpr size_t kWatchBytes = 64 << 10;
constexpr size_t kReadBytes = 4096;

std::string_view View(boost::beast::string_view s) { return {s.data(), s.size()}; }

// "Bearer KEY", whatever the case of the scheme.
std::string BearerKey(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() < kScheme.size()) return {};
  for (size_t i = 0; i < kScheme.size(); ++i) {
    if ((header[i] | 0x20) != (kScheme[i] | 0x20)) return {};
  }
  header.remove_prefix(kScheme.size());
  while (!header.empty() && header.front() == ' ') header.remove_prefix(1);
  return std::string(header);
}

template <typename Fields>
HttpRequest MakeRequest(const Fields& message, const std::string& peer) {
  HttpRequest request;
  request.method = std::string(View(message.method_string()));
  std::string_view target = View(message.target());
  const size_t query = target.find('?');
  if (query != std::string_view::npos) {
    request.query = std::string(target.substr(query + 1));
    target = target.substr(0, query);
  }
  request.path = std::string(target);
  request.request_id = SafeRequestId(View(message["X-Request-ID"]));
  request.origin = std::string(View(message[http::field::origin]));
  request.api_key = BearerKey(View(message[http::field::authorization]));
  if (request.api_key.empty()) request.api_key = std::string(View(message["X-Api-Key"]));
  request.peer = peer;
  request.accept_encoding = std::string(View(message[http::field::accept_encoding]));
  request.if_none_match = std::string(View(message[http::field::if_none_match]));
  return request;
}

HttpReply RefusalOf(const error_code& ec, const ServerConfig& config, api::ErrorForm form) {
  if (ec == http::error::body_limit) {
    return ErrorReply(413, "invalid_request_error",
                      fmt::format("the body is larger than the limit of {} bytes",
                                  config.max_body_bytes),
                      form);
  }
  if (ec == http::error::header_limit) {
    return ErrorReply(431, "invalid_request_error",
                      fmt::format("the head is larger than the limit of {} bytes",
                                  config.max_header_bytes),
                      form);
  }
  return ErrorReply(400, "invalid_request_error", fmt::format("malformed HTTP: {}", ec.message()),
                    form);
}

bool IsProtocolError(const error_code& ec) {
  return ec.category() == make_error_code(http::error::bad_method).category() &&
         ec != http::error::end_of_stream && ec != http::error::partial_message;
}

}  // namespace

Session::Session(SessionContext& context, Socket socket, std::string peer)
    : context_(context), socket_(std::move(socket)), peer_(std::move(peer)),
      buffer_(std::max<size_t>(context.config.max_header_bytes, kWatchBytes) + kWatchBytes),
      deadline_(socket_.get_executor()), wake_(socket_.get_executor()) {}

void Session::Start(std::function<void()> on_end) {
  asio::co_spawn(
      socket_.get_executor(),
      [self = shared_from_this()]() -> asio::awaitable<void> { co_await self->Run(); },
      [self = shared_from_this(), on_end = std::move(on_end)](std::exception_ptr) { on_end(); });
}

void Session::BeginStop() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    error_code ignored;
    if (self->reading_head_) self->socket_.close(ignored);
    if (self->endless_) self->EndAnswer();
  });
}

void Session::EndAnswers() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->EndAnswer(); });
}

void Session::EndAnswer() {
  end_answers_ = true;
  Wake();
}

// The socket's operations end with operation_aborted when the time is up.
void Session::SetDeadline(double seconds) {
  deadline_.expires_after(std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
  deadline_.async_wait([weak = weak_from_this(), number = ++deadline_number_](const error_code& ec) {
    const auto self = weak.lock();
    // A handler that was queued already cannot be cancelled, but it can know that it is late.
    if (ec || !self || self->deadline_number_ != number) return;
    self->timed_out_ = true;
    error_code ignored;
    self->socket_.cancel(ignored);
    self->Wake();
  });
}

void Session::ClearDeadline() {
  ++deadline_number_;
  deadline_.cancel();
}

asio::awaitable<void> Session::Run() {
  while (!context_.stopping.load(std::memory_order_relaxed)) {
    const Read read = co_await ReadRequest();
    if (read == Read::kClose) break;
    if (read == Read::kRequest) co_await Answer();
    if (!keep_alive_ || gone_ || timed_out_) break;
  }
  ClearDeadline();
  error_code ignored;
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
}

asio::awaitable<Session::Read> Session::ReadRequest() {
  const ServerConfig& config = context_.config;
  http::request_parser<http::string_body> parser;
  parser.header_limit(config.max_header_bytes);
  parser.body_limit(config.max_body_bytes);
  request_ = HttpRequest();
  errors_ = api::ErrorForm::kOpenAi;
  head_only_ = false;
  reading_head_ = true;
  timed_out_ = false;
  SetDeadline(config.idle_seconds);
  auto [head_error, head_bytes] =
      co_await http::async_read_header(socket_, buffer_, parser, kTuple);
  static_cast<void>(head_bytes);
  reading_head_ = false;
  request_start_ = std::chrono::steady_clock::now();
  if (head_error) {
    keep_alive_ = false;
    if (!IsProtocolError(head_error) && !(timed_out_ && parser.got_some())) co_return Read::kClose;
    request_.request_id = SafeRequestId({});
    request_.peer = peer_;
    if (IsProtocolError(head_error)) {
      co_await Refuse(RefusalOf(head_error, config, errors_));
    } else {
      timed_out_ = false;
      co_await Refuse(ErrorReply(408, "timeout_error", "the request's head took too long"));
    }
    co_return Read::kClose;
  }

  request_ = MakeRequest(parser.get(), peer_);
  keep_alive_ = parser.keep_alive() && !context_.stopping.load(std::memory_order_relaxed);
  http_1_0_ = parser.get().version() == 10;
  head_only_ = parser.get().method() == http::verb::head;
  std::string allow;
  const Route* route = context_.router.Find(request_.method, request_.path, &allow);
  if (route != nullptr) errors_ = route->errors;
  const bool open = (route != nullptr && route->open) || parser.get().method() == http::verb::options;
  if (!open && !config.api_keys.empty() && !KeyMatches(config.api_keys, request_.api_key)) {
    // Before the body is read: who has no key gets no memory.
    keep_alive_ = false;
    HttpReply reply;
    reply.status = 401;
    reply.body = api::ErrorJson(401, "authentication_error", "invalid_api_key",
                                "a valid API key is needed (Authorization: Bearer KEY)", errors_);
    reply.headers.emplace_back("WWW-Authenticate", "Bearer");
    co_await Refuse(std::move(reply));
    co_return Read::kClose;
  }
  if (boost::beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    const bool sent = co_await Write("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return Read::kClose;
  }
  SetDeadline(config.body_seconds);
  auto [body_error, body_bytes] = co_await http::async_read(socket_, buffer_, parser, kTuple);
  static_cast<void>(body_bytes);
  if (body_error) {
    keep_alive_ = false;
    if (IsProtocolError(body_error)) {
      co_await Refuse(RefusalOf(body_error, config, errors_));
    } else if (timed_out_) {
      timed_out_ = false;
      co_await Refuse(ErrorReply(408, "timeout_error", "the request's body took too long", errors_));
    }
    co_return Read::kClose;
  }
  ClearDeadline();
  request_.body = std::move(parser.get().body());
  co_return Read::kRequest;
}

asio::awaitable<Outcome> Session::Handle(const Route& route) {
  if (!route.worker) co_return route.handler(request_);
  // The worker gets copies of nothing: this coroutine, and with it the request, waits for it.
  auto task = [handler = &route.handler, request = &request_, form = errors_,
               stopping = &context_.stopping]() -> asio::awaitable<Outcome> {
    if (stopping->load()) {
      co_return ErrorReply(Error{ErrorCode::kUnavailable, "the server is shutting down", {}}, form);
    }
    co_return (*handler)(*request);
  };
  Outcome outcome =
      co_await asio::co_spawn(context_.workers->get_executor(), std::move(task), asio::use_awaitable);
  co_return outcome;
}

asio::awaitable<void> Session::Answer() {
  std::string allow;
  const Route* route = context_.router.Find(request_.method, request_.path, &allow);
  if (request_.method == "OPTIONS" && !allow.empty()) {
    co_await SendReply(Preflight(allow));
    co_return;
  }
  if (route == nullptr) {
    HttpReply reply =
        allow.empty()
            ? ErrorReply(404, "not_found_error", "no such path; see GET /v1/models, POST "
                                                 "/v1/chat/completions, POST /v1/completions")
            : ErrorReply(405, "invalid_request_error",
                         fmt::format("this path answers to {}, not to {}", allow,
                                     request_.method.substr(0, 20)));
    if (!allow.empty()) reply.headers.emplace_back("Allow", allow);
    co_await SendReply(std::move(reply));
    co_return;
  }
  if (route->worker) StartWatch();
  Outcome outcome = co_await Handle(*route);
  while (std::holds_alternative<std::shared_ptr<LoadTicket>>(outcome)) {
    const auto ticket = std::get<std::shared_ptr<LoadTicket>>(std::move(outcome));
    outcome = co_await WaitForModel(*route, ticket);
  }
  request_.lease.reset();
  if (auto* generation = std::get_if<std::unique_ptr<api::PendingReply>>(&outcome)) {
    co_await RunGeneration(std::move(*generation));
  } else {
    co_await StopWatch();
    co_await SendReply(std::move(std::get<HttpReply>(outcome)));
  }
}

asio::awaitable<Outcome> Session::WaitForModel(const Route& route,
                                               std::shared_ptr<LoadTicket> ticket) {
  ticket->OnDone(WakeFunction());
  while (!ticket->done() && !gone_ && !end_answers_) {
    co_await WaitForWake(std::chrono::steady_clock::time_point::max());
  }
  if (gone_) co_return HttpReply();  // nobody reads it
  if (!ticket->done()) {
    co_return ErrorReply(Error{ErrorCode::kUnavailable, "the server is shutting down", {}}, errors_);
  }
  request_.lease = ticket->lease();
  if (request_.lease == nullptr) co_return ErrorReply(ticket->error(), errors_);
  Outcome outcome = co_await Handle(route);
  co_return outcome;
}

asio::awaitable<void> Session::RunGeneration(std::unique_ptr<api::PendingReply> generation) {
  generation->OnReady(WakeFunction());
  endless_ = generation->endless();
  if (endless_ && context_.stopping.load()) EndAnswer();
  const bool head_sent = co_await SendStream(*generation);
  endless_ = false;
  co_await StopWatch();
  if (head_sent) {
    Log(200, generation.get());
    co_return;
  }
  if (gone_ || timed_out_) {
    Log(0, generation.get());
    co_return;
  }
  HttpReply reply = generation->error() ? ErrorReply(*generation->error(), errors_)
                                        : JsonReply(generation->Body());
  AddCommonHeaders(&reply);
  std::string bytes = FormatHead(reply, static_cast<int64_t>(reply.body.size()), keep_alive_, http_1_0_);
  bytes += reply.body;
  co_await Write(std::move(bytes));
  Log(reply.status, generation.get());
}

// Drives the generation to its end, or to the client's. Sends what is streamed; a plain reply, and
// an error that came before anything was sent, are the caller's.
asio::awaitable<bool> Session::SendStream(api::PendingReply& generation) {
  const bool streamed = generation.streamed();
  bool head_sent = false;
  const auto silence = std::chrono::milliseconds(
      static_cast<int64_t>(context_.config.comment_seconds * 1000));
  auto next_comment = std::chrono::steady_clock::now() + silence;
  for (;;) {
    events_ = false;
    if (end_answers_) {
      generation.Fail(Error{ErrorCode::kUnavailable, "the server is shutting down", {}});
    }
    std::string events;
    const bool done = generation.Advance(&events);
    if (gone_ || timed_out_) break;
    if (streamed) {
      // Errors that come first keep their HTTP status; from then on they are events.
      if (done && !head_sent && generation.error() && !generation.started()) break;
      const auto now = std::chrono::steady_clock::now();
      if (events.empty() && now >= next_comment) events = generation.filler();
      if (!events.empty()) {
        std::string bytes;
        if (!head_sent) {
          HttpReply head;
          head.content_type = generation.content_type();
          head.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
          AddCommonHeaders(&head);
          if (http_1_0_) keep_alive_ = false;
          bytes = FormatHead(head, -1, keep_alive_, http_1_0_);
          head_sent = true;
        }
        if (http_1_0_) {
          bytes += events;
        } else {
          fmt::format_to(std::back_inserter(bytes), "{:x}\r\n{}\r\n", events.size(), events);
          if (done) bytes += "0\r\n\r\n";
        }
        const bool written = co_await Write(std::move(bytes));
        if (!written) break;
        next_comment = std::chrono::steady_clock::now() + silence;
      }
    }
    if (done) break;
    if (events_ || gone_ || (end_answers_ && !generation.error())) continue;
    const auto latest = streamed ? next_comment : std::chrono::steady_clock::time_point::max();
    co_await WaitForWake(std::min(latest, generation.next_look()));
  }
  co_return head_sent;  // leaving early cancels: the caller drops the generation
}

asio::awaitable<bool> Session::Write(std::string bytes) {
  SetDeadline(context_.config.body_seconds);
  auto [ec, sent] = co_await asio::async_write(socket_, asio::buffer(bytes), kTuple);
  static_cast<void>(sent);
  ClearDeadline();
  if (ec) gone_ = true;
  co_return !ec;
}

asio::awaitable<void> Session::SendReply(HttpReply reply) {
  if (gone_) {
    Log(0, nullptr);
    co_return;
  }
  AddCommonHeaders(&reply);
  std::string bytes =
      FormatHead(reply, static_cast<int64_t>(reply.body.size()), keep_alive_, http_1_0_);
  if (!head_only_) bytes += reply.body;
  co_await Write(std::move(bytes));
  Log(reply.status, nullptr);
}

// Closing with unread bytes would reset the connection and take our reply with it.
asio::awaitable<void> Session::Refuse(HttpReply reply) {
  keep_alive_ = false;
  co_await SendReply(std::move(reply));
  error_code ec;
  socket_.shutdown(Socket::shutdown_send, ec);
  SetDeadline(2.0);
  std::string sink(64 << 10, '\0');
  for (size_t drained = 0; !ec && drained < 2 * context_.config.max_body_bytes;) {
    auto [error, bytes] = co_await socket_.async_read_some(asio::buffer(sink), kTuple);
    ec = error;
    drained += bytes;
  }
}

HttpReply Session::Preflight(const std::string& allow) const {
  HttpReply reply;
  reply.content_type.clear();
  reply.headers.emplace_back("Allow", allow);
  if (!AllowedOrigin(context_.config.cors_origins, request_.origin).empty()) {
    reply.headers.emplace_back("Access-Control-Allow-Methods", allow);
    reply.headers.emplace_back("Access-Control-Allow-Headers",
                               "Authorization, Content-Type, X-Api-Key, X-Request-ID");
    reply.headers.emplace_back("Access-Control-Max-Age", "600");
  }
  return reply;
}

void Session::AddCommonHeaders(HttpReply* reply) const {
  if (!request_.request_id.empty()) reply->headers.emplace_back("X-Request-ID", request_.request_id);
  if (context_.config.cors_origins.empty()) return;
  const std::string origin = AllowedOrigin(context_.config.cors_origins, request_.origin);
  if (!origin.empty()) reply->headers.emplace_back("Access-Control-Allow-Origin", origin);
  reply->headers.emplace_back("Vary", "Origin");
}

void Session::Log(int status, const api::PendingReply* generation) {
  if (!context_.on_request) return;
  RequestLog log;
  log.request = &request_;
  log.status = status;
  log.generation = generation;
  log.client_gone = gone_;
  log.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - request_start_).count();
  context_.on_request(log);
}

void Session::StartWatch() {
  watch_wanted_ = true;
  if (watching_ || gone_ || buffer_.size() + kReadBytes > kWatchBytes) return;
  watching_ = true;
  socket_.async_read_some(
      buffer_.prepare(kReadBytes),
      asio::bind_cancellation_slot(cancel_watch_.slot(),
                                   [self = shared_from_this()](const error_code& ec, size_t bytes) {
                                     self->OnWatch(ec, bytes);
                                   }));
}

void Session::OnWatch(error_code ec, size_t bytes) {
  watching_ = false;
  buffer_.commit(bytes);
  if (ec == asio::error::operation_aborted) {
    Wake();  // StopWatch waits for this
    return;
  }
  if (ec) {
    // A client that shut down only its sending half counts as gone, too.
    gone_ = true;
    Wake();
    return;
  }
  // StopWatch may have come between the bytes and this handler.
  watch_wanted_ ? StartWatch() : Wake();
}

asio::awaitable<void> Session::StopWatch() {
  watch_wanted_ = false;
  if (watching_) cancel_watch_.emit(asio::cancellation_type::terminal);
  while (watching_) co_await WaitForWake(std::chrono::steady_clock::time_point::max());
}

asio::awaitable<void> Session::WaitForWake(std::chrono::steady_clock::time_point until) {
  wake_.expires_at(until);
  co_await wake_.async_wait(kTuple);
}

void Session::Wake() { wake_.cancel(); }

std::function<void()> Session::WakeFunction() {
  return [weak = weak_from_this(), executor = socket_.get_executor()] {
    asio::post(executor, [weak] {
      const auto self = weak.lock();
      if (!self) return;
      self->events_ = true;
      self->Wake();
    });
  };
}

}  // namespace lb::server

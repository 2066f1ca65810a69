#include "server/tls.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <chrono>
#include <utility>
#include <vector>

namespace lb::server {
using boost::system::error_code;
using local = asio::local::stream_protocol;
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr auto kHandshakeLimit = std::chrono::seconds(10);
constexpr auto kShutdownLimit = std::chrono::seconds(1);
constexpr size_t kBufferBytes = 16 << 10;  // one TLS record

using TlsStream = asio::ssl::stream<asio::ip::tcp::socket>;

// Closes the client's socket, and with it every operation on it, when time is up. Shares the stream:
// a handler that was queued already runs after the limit itself is gone.
class TimeLimit {
 public:
  TimeLimit(std::shared_ptr<TlsStream> client, std::chrono::steady_clock::duration time)
      : timer_(client->get_executor(), time) {
    timer_.async_wait([client](const error_code& ec) {
      error_code ignored;
      if (!ec) client->next_layer().close(ignored);
    });
  }

 private:
  asio::steady_timer timer_;
};

// Everything on one strand: the two directions and the end.
struct Tunnel : std::enable_shared_from_this<Tunnel> {
  Tunnel(asio::ip::tcp::socket socket, asio::ssl::context& tls)
      : client(std::move(socket), tls), session(client.get_executor()) {}

  std::shared_ptr<TlsStream> SharedClient() { return {shared_from_this(), &client}; }

  TlsStream client;
  local::socket session;

  asio::awaitable<void> ToSession() {
    std::vector<char> buffer(kBufferBytes);
    for (;;) {
      auto [read_error, bytes] = co_await client.async_read_some(asio::buffer(buffer), kTuple);
      if (read_error) break;
      auto [write_error, sent] =
          co_await asio::async_write(session, asio::buffer(buffer.data(), bytes), kTuple);
      if (write_error) break;
    }
    error_code ignored;
    session.shutdown(local::socket::shutdown_send, ignored);  // the session sees its client leave
  }

  asio::awaitable<void> ToClient() {
    std::vector<char> buffer(kBufferBytes);
    for (;;) {
      auto [read_error, bytes] = co_await session.async_read_some(asio::buffer(buffer), kTuple);
      if (read_error) break;
      auto [write_error, sent] =
          co_await asio::async_write(client, asio::buffer(buffer.data(), bytes), kTuple);
      if (write_error) break;
    }
    {
      TimeLimit limit(SharedClient(), kShutdownLimit);
      auto [ec] = co_await client.async_shutdown(kTuple);
      static_cast<void>(ec);  // most clients hang up instead of answering
    }
    error_code ignored;
    session.close(ignored);
    client.next_layer().close(ignored);
  }
};

}  // namespace

Result<std::unique_ptr<asio::ssl::context>> LoadTls(const std::string& cert_file,
                                                    const std::string& key_file) {
  auto tls = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  error_code ec;
  tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                       asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                       asio::ssl::context::no_tlsv1_1,
                   ec);
  tls->use_certificate_chain_file(cert_file, ec);
  if (ec) {
    return Fail(ErrorCode::kInvalidArgument, "--ssl-cert-file {}: {}", cert_file, ec.message());
  }
  tls->use_private_key_file(key_file, asio::ssl::context::pem, ec);
  if (ec) return Fail(ErrorCode::kInvalidArgument, "--ssl-key-file {}: {}", key_file, ec.message());
  return tls;
}

asio::awaitable<void> CarryTls(asio::ip::tcp::socket socket, asio::ssl::context& tls,
                               std::function<void(Session::Socket)> open) {
  const auto executor = socket.get_executor();
  auto tunnel = std::make_shared<Tunnel>(std::move(socket), tls);
  {
    TimeLimit limit(tunnel->SharedClient(), kHandshakeLimit);
    auto [ec] = co_await tunnel->client.async_handshake(asio::ssl::stream_base::server, kTuple);
    if (ec) co_return;
  }
  local::socket other(executor);
  error_code ec;
  asio::local::connect_pair(tunnel->session, other, ec);
  if (ec) co_return;  // out of descriptors: the client sees its connection close
  open(Session::Socket(std::move(other)));
  asio::co_spawn(
      executor, [tunnel]() { return tunnel->ToSession(); }, asio::detached);
  co_await tunnel->ToClient();
}

}  // namespace lb::server

// TLS in front of a session. Internal to server/.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "server/session.h"

namespace lb::server {

// Reads a certificate chain and its key (PEM). TLS 1.2 and later. Errors name the file.
Result<std::unique_ptr<asio::ssl::context>> LoadTls(const std::string& cert_file,
                                                    const std::string& key_file);

// Shakes hands with a client, then carries bytes between it and one end of a local pair of sockets;
// `open` gets the other end, and serves it like any connection. So a session knows nothing of TLS,
// and its reads can be cancelled, which those of a TLS stream cannot. Ends when either side does.
// Runs on the socket's executor; `tls` must outlive it.
asio::awaitable<void> CarryTls(asio::ip::tcp::socket socket, asio::ssl::context& tls,
                               std::function<void(Session::Socket)> open);

}  // namespace lb::server

#include "server/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <iterator>

#include "api/errors.h"

namespace lb::server {

HttpReply JsonReply(std::string body) {
  HttpReply reply;
  reply.body = std::move(body);
  return reply;
}

HttpReply ErrorReply(const Error& error, api::ErrorForm form) {
  const api::ErrorView view = api::View(error.code);
  HttpReply reply;
  reply.status = view.status;
  reply.body = api::ErrorJson(error, form);
  if (view.retry_after) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

HttpReply ErrorReply(int status, std::string_view type, std::string_view message,
                     api::ErrorForm form) {
  HttpReply reply;
  reply.status = status;
  reply.body = api::ErrorJson(status, type, {}, message, form);
  return reply;
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Payload Too Large";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default: return "Status";
  }
}

std::string FormatHead(const HttpReply& reply, int64_t length, bool keep_alive, bool http_1_0) {
  std::string head;
  head.reserve(320);
  fmt::format_to(std::back_inserter(head), "HTTP/1.{} {} {}\r\nServer: llama-box\r\n",
                 http_1_0 ? 0 : 1, reply.status, ReasonPhrase(reply.status));
  if (!reply.content_type.empty()) {
    fmt::format_to(std::back_inserter(head), "Content-Type: {}\r\n", reply.content_type);
  }
  for (const auto& [name, value] : reply.headers) {
    fmt::format_to(std::back_inserter(head), "{}: {}\r\n", name, value);
  }
  if (length >= 0) {
    fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", length);
  } else if (!http_1_0) {
    head += "Transfer-Encoding: chunked\r\n";
  }
  head += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return head;
}

std::string SafeRequestId(std::string_view wanted) {
  const bool plain = std::all_of(wanted.begin(), wanted.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == ':';
  });
  if (!wanted.empty() && wanted.size() <= 128 && plain) return std::string(wanted);
  static const auto start = std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::system_clock::now().time_since_epoch()).count();
  static std::atomic<uint64_t> count{0};
  return fmt::format("req-{:x}-{}", start, ++count);
}

namespace {

// A page of this very machine, at whatever port.
bool IsLocal(std::string_view origin) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!origin.starts_with(scheme)) continue;
    origin.remove_prefix(scheme.size());
    break;
  }
  for (const std::string_view host : {"localhost", "127.0.0.1", "[::1]"}) {
    if (!origin.starts_with(host)) continue;
    const std::string_view rest = origin.substr(host.size());
    if (rest.empty() || rest.front() == ':') return true;
  }
  return false;
}

}  // namespace

std::string AllowedOrigin(const std::vector<std::string>& allowed, const std::string& origin) {
  if (origin.empty()) return {};
  for (const std::string& one : allowed) {
    if (one == "*" || one == origin) return one;
    if (one == "localhost" && IsLocal(origin)) return origin;
  }
  return {};
}

bool KeyMatches(const std::vector<std::string>& keys, const std::string& key) {
  bool any = false;
  for (const std::string& known : keys) {
    // volatile: no compiler may leave the loop at the first difference.
    volatile unsigned char difference = known.size() == key.size() ? 0 : 1;
    for (size_t i = 0; i < known.size(); ++i) {
      const char theirs = key.empty() ? '\0' : key[i % key.size()];
      difference = static_cast<unsigned char>(difference | (known[i] ^ theirs));
    }
    any |= difference == 0;
  }
  return any;
}

}  // namespace lb::server

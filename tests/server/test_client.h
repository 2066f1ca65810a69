// A plain socket client, for what an HTTP library would hide.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>
#include <string_view>

namespace lb::server {

class TestClient {
 public:
  explicit TestClient(int port) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  explicit TestClient(const std::string& path) {
    fd_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  TestClient(TestClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_),
        unread_(std::move(other.unread_)) {}
  TestClient(const TestClient&) = delete;
  ~TestClient() { Close(); }

  bool connected() const { return connected_; }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void Reset() {  // RST instead of FIN
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    Close();
  }
  void ShutdownSend() { ::shutdown(fd_, SHUT_WR); }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  bool Post(std::string_view path, std::string_view body, std::string_view more_headers = {}) {
    return Send("POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n" + std::string(more_headers) + "\r\n" +
                std::string(body));
  }
  bool Get(std::string_view path, std::string_view more_headers = {}) {
    return Send("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more_headers) +
                "\r\n");
  }

  // More bytes into the buffer; false at the end of the connection or after `ms`.
  bool Fill(int ms = 5000) {
    pollfd p{fd_, POLLIN, 0};
    if (::poll(&p, 1, ms) <= 0) return false;
    char chunk[65536];
    const ssize_t n = ::recv(fd_, chunk, sizeof(chunk), 0);
    if (n <= 0) return false;
    unread_.append(chunk, static_cast<size_t>(n));
    return true;
  }
  // All up to and including `mark`; "" when it does not come.
  std::string ReadUntil(std::string_view mark, int ms = 5000) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    for (;;) {
      const size_t at = unread_.find(mark);
      if (at != std::string::npos) {
        std::string got = unread_.substr(0, at + mark.size());
        unread_.erase(0, at + mark.size());
        return got;
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now()).count();
      if (left <= 0 || !Fill(static_cast<int>(left))) return {};
    }
  }
  // One reply with Content-Length: head and body together; "" when it does not come.
  std::string ReadReply(int ms = 5000) {
    std::string head = ReadUntil("\r\n\r\n", ms);
    const size_t at = head.find("Content-Length: ");
    if (at == std::string::npos) return head;
    const size_t length = std::stoul(head.substr(at + 16));
    while (unread_.size() < length) {
      if (!Fill(ms)) return {};
    }
    head += unread_.substr(0, length);
    unread_.erase(0, length);
    return head;
  }
  // True when the server closes within `ms`.
  bool Closed(int ms = 5000) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    while (std::chrono::steady_clock::now() < end) {
      pollfd p{fd_, POLLIN, 0};
      if (::poll(&p, 1, 20) <= 0) continue;
      char chunk[4096];
      const ssize_t n = ::recv(fd_, chunk, sizeof(chunk), 0);
      if (n <= 0) return true;
      unread_.append(chunk, static_cast<size_t>(n));
    }
    return false;
  }
  std::string& unread() { return unread_; }

 private:
  int fd_ = -1;
  bool connected_ = false;
  std::string unread_;
};

inline int StatusOf(const std::string& reply) {
  return reply.size() > 12 ? std::atoi(reply.c_str() + 9) : 0;
}

}  // namespace lb::server

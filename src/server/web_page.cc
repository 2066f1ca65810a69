#include "server/web_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace lb::server {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFiles = 2000;

std::string Policy(const std::vector<std::string>& connect) {
  std::string to = "'self' http://localhost:* http://127.0.0.1:*";
  for (const std::string& origin : connect) to += " " + origin;
  return fmt::format(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
      "connect-src {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
      "require-trusted-types-for 'script'; trusted-types 'none'",
      to);
}

// An origin as a policy may name it: a scheme, a host, perhaps a port; nothing that ends the list.
bool IsOrigin(std::string_view text) {
  if (!text.starts_with("http://") && !text.starts_with("https://")) return false;
  const std::string_view host = text.substr(text.find("//") + 2);
  return !host.empty() && std::ranges::all_of(host, [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == ':' || c == '*' || c == '_';
  });
}

// "gzip" stands in the header and is not refused with ;q=0.
bool AcceptsGzip(std::string_view header) {
  const size_t at = header.find("gzip");
  if (at == std::string_view::npos) return false;
  const std::string_view rest = header.substr(at + 4, header.find(',', at) - at - 4);
  return rest.find("q=0") == std::string_view::npos || rest.find("q=0.") != std::string_view::npos;
}

HttpReply Reply(const WebFile& file, const std::string& policy, const HttpRequest& request) {
  HttpReply reply;
  reply.content_type = file.content_type;
  reply.headers = {{"ETag", std::string(file.etag)},
                   {"Cache-Control", "no-cache"},
                   {"Vary", "Accept-Encoding"},
                   {"Content-Security-Policy", policy},
                   {"X-Content-Type-Options", "nosniff"},
                   {"Referrer-Policy", "no-referrer"}};
  if (request.if_none_match.find(file.etag) != std::string::npos) {
    reply.status = 304;
    return reply;
  }
  if (AcceptsGzip(request.accept_encoding) && file.gzip.size() < file.plain.size()) {
    reply.headers.emplace_back("Content-Encoding", "gzip");
    reply.body = file.gzip;
  } else {
    reply.body = file.plain;
  }
  return reply;
}

std::string_view TypeOf(const fs::path& path) {
  constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".html", "text/html; charset=utf-8"}, {".css", "text/css; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"}, {".mjs", "text/javascript; charset=utf-8"},
      {".json", "application/json"}, {".txt", "text/plain; charset=utf-8"},
      {".svg", "image/svg+xml"}, {".png", "image/png"}, {".jpg", "image/jpeg"},
      {".ico", "image/x-icon"}, {".webp", "image/webp"}, {".wasm", "application/wasm"},
      {".woff2", "font/woff2"}};
  const std::string extension = path.extension().string();
  for (const auto& [name, type] : kTypes) {
    if (name == extension) return type;
  }
  return "application/octet-stream";
}

Outcome ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrorReply(404, "not_found_error", "this file is gone");
  HttpReply reply;
  reply.body.assign(std::istreambuf_iterator<char>(in), {});
  reply.content_type = TypeOf(path);
  reply.headers = {{"Cache-Control", "no-cache"}, {"X-Content-Type-Options", "nosniff"}};
  return reply;
}

}  // namespace

Result<void> AddWebPage(const std::vector<std::string>& connect, Router* router) {
  for (const std::string& origin : connect) {
    if (!IsOrigin(origin)) {
      return Fail(ErrorCode::kInvalidArgument,
                  "--webui-connect {}: must be an origin such as http://192.168.0.7:8080", origin);
    }
  }
  const std::string policy = Policy(connect);
  for (const WebFile& file : WebFiles()) {
    router->Add({"GET", std::string(file.path), false, true,
                 [&file, policy](const HttpRequest& request) -> Outcome {
                   return Reply(file, policy, request);
                 }});
  }
  return {};
}

Result<void> AddWebFolder(const std::string& folder, Router* router) {
  std::error_code ec;
  size_t num_files = 0;
  fs::recursive_directory_iterator at(folder, ec);
  if (ec) return Fail(ErrorCode::kInvalidArgument, "--path {}: {}", folder, ec.message());
  for (; at != fs::recursive_directory_iterator(); at.increment(ec)) {
    if (ec) return Fail(ErrorCode::kIo, "--path {}: {}", folder, ec.message());
    if (!at->is_regular_file(ec)) continue;
    if (++num_files > kMostFiles) {
      return Fail(ErrorCode::kInvalidArgument, "--path {}: more than {} files", folder, kMostFiles);
    }
    const fs::path path = at->path();
    const std::string name = "/" + path.lexically_relative(folder).generic_string();
    const auto read = [path](const HttpRequest&) { return ReadFile(path); };
    router->Add({"GET", name, true, true, read});
    if (name == "/index.html") router->Add({"GET", "/", true, true, read});
  }
  return {};
}

}  // namespace lb::server

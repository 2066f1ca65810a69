// The page at /: chat, comparison and the live cache. Its files are in src/server/web/ and are
// compiled in by cmake/web.cmake.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/router.h"

namespace lb::server {

struct WebFile {
  std::string_view path;  // "/", "/app.js"
  std::string_view content_type;
  std::string_view etag;  // of the content, quoted
  std::string_view plain, gzip;
};

// Generated: all of them.
std::span<const WebFile> WebFiles();

// The page, open to everybody: who has no key sees an empty page that asks for one. Its content
// security policy lets it run nothing but its own scripts, and call only this server, others on the
// same machine, and `connect`: more origins ("http://192.168.0.7:8080").
Result<void> AddWebPage(const std::vector<std::string>& connect, Router* router);

// Files of the user's instead (--path): every file below `folder` at its place, index.html at "/",
// read when asked for. Without a policy: what is in them is the user's business. A file that is not
// there at the start is not served.
Result<void> AddWebFolder(const std::string& folder, Router* router);

}  // namespace lb::server

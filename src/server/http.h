// A request and a reply as the routes see them: no sockets, no library types.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "api/errors.h"
#include "api/pending_reply.h"
#include "base/error.h"
#include "server/model_source.h"

namespace lb::server {

struct HttpRequest {
  std::string method;      // "GET"
  std::string path;        // without the query
  std::string query;       // what follows '?', "" if nothing
  std::string body;
  std::string request_id;  // the client's X-Request-ID, or ours
  std::string api_key;     // as presented, "" if none
  std::string origin;      // of a browser's page
  std::string peer;        // address without the port
  std::string accept_encoding, if_none_match;  // those headers
  Lease lease;             // the model that the request has waited for
};

struct HttpReply {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;  // more of them
};

// What a route gives: a reply, or an answer that grows.
// A ticket: the model must be there first; the route is asked again then, with request.lease.
using Outcome = std::variant<HttpReply, std::unique_ptr<api::PendingReply>, std::shared_ptr<LoadTicket>>;

HttpReply JsonReply(std::string body);
HttpReply ErrorReply(const Error& error, api::ErrorForm form = api::ErrorForm::kOpenAi);
// For the front door's own refusals.
HttpReply ErrorReply(int status, std::string_view type, std::string_view message,
                     api::ErrorForm form = api::ErrorForm::kOpenAi);

std::string_view ReasonPhrase(int status);
// "HTTP/1.1 200 OK\r\n" and all headers, the empty line included. `length` < 0: chunked.
std::string FormatHead(const HttpReply& reply, int64_t length, bool keep_alive, bool http_1_0);

// An id that is safe to log and to send back: the client's, if it is short and plain, or a new one.
std::string SafeRequestId(std::string_view wanted);

// A page's origin, if `allowed` ("*", "localhost" for this machine at any port, or exact origins)
// has it: the value of Access-Control-Allow-Origin; "" otherwise.
std::string AllowedOrigin(const std::vector<std::string>& allowed, const std::string& origin);

// True when `key` is one of `keys`. The time it takes depends on the lengths only.
bool KeyMatches(const std::vector<std::string>& keys, const std::string& key);

}  // namespace lb::server

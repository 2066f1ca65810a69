// Proves how the web page is served: everything that it names is there, packed for who can unpack,
// unchanged files are not sent again, a policy forbids foreign and inline scripts; a folder of the
// user's takes its place and shows nothing from outside.
#include "server/web_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

namespace lb::server {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

HttpReply Get(const Router& router, const std::string& path, const std::string& encoding = {},
              const std::string& if_none_match = {}) {
  std::string allow;
  const Route* route = router.Find("GET", path, &allow);
  if (route == nullptr) return ErrorReply(404, "not_found_error", "no");
  EXPECT_TRUE(route->open) << path;
  HttpRequest request;
  request.accept_encoding = encoding;
  request.if_none_match = if_none_match;
  return std::get<HttpReply>(route->handler(request));
}

std::string Header(const HttpReply& reply, std::string_view name) {
  for (const auto& [key, value] : reply.headers) {
    if (key == name) return value;
  }
  return {};
}

Router Page(const std::vector<std::string>& connect = {}) {
  Router router;
  EXPECT_TRUE(AddWebPage(connect, &router).has_value());
  return router;
}

// Every "./name" in quotes.
std::set<std::string> NamedIn(const std::string& text) {
  static const std::regex kName("[\"'](\\./[^\"'?#]+\\.(?:js|css|svg))[\"']");
  std::set<std::string> names;
  for (std::sregex_iterator at(text.begin(), text.end(), kName), end; at != end; ++at) {
    names.insert((*at)[1].str().substr(1));
  }
  return names;
}

TEST(WebPage, EverythingThatItNamesIsThere) {
  const Router router = Page();
  const HttpReply page = Get(router, "/");
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  std::set<std::string> named = NamedIn(page.body);
  EXPECT_GE(named.size(), 6u);
  size_t num_scripts = 0;
  for (const WebFile& file : WebFiles()) {
    if (!file.path.ends_with(".js") || file.path.starts_with("/lib/")) continue;
    named.merge(NamedIn(std::string(file.plain)));
    ++num_scripts;
  }
  EXPECT_GT(num_scripts, 10u);
  for (const std::string& name : named) EXPECT_EQ(Get(router, name).status, 200) << name;
  // And nothing of it is inline, which the policy would forbid.
  EXPECT_FALSE(std::regex_search(page.body, std::regex("<script(?![^>]*src=)|<style|style=|\\son[a-z]+=")));
}

TEST(WebPage, IsPackedForWhoCanUnpack) {
  const Router router = Page();
  const HttpReply packed = Get(router, "/app.js", "br, gzip;q=0.8");
  EXPECT_EQ(Header(packed, "Content-Encoding"), "gzip");
  EXPECT_EQ(packed.body.substr(0, 2), "\x1f\x8b");
  for (const char* encoding : {"", "br", "gzip;q=0", "gzip;q=0, br"}) {
    const HttpReply plain = Get(router, "/app.js", encoding);
    EXPECT_EQ(Header(plain, "Content-Encoding"), "") << encoding;
    EXPECT_THAT(plain.body, HasSubstr("import"));
  }
}

TEST(WebPage, UnchangedFilesAreNotSentAgain) {
  const Router router = Page();
  const std::string etag = Header(Get(router, "/app.js"), "ETag");
  EXPECT_THAT(etag, testing::MatchesRegex("W/\"[0-9a-f]+\""));
  const HttpReply again = Get(router, "/app.js", "gzip", "W/\"0\", " + etag);
  EXPECT_EQ(again.status, 304);
  EXPECT_EQ(again.body, "");
  EXPECT_EQ(Get(router, "/app.js", "gzip", "W/\"0\"").status, 200);
}

TEST(WebPage, ThePolicyAllowsItsOwnScriptsAndNamedServersOnly) {
  const std::string policy = Header(Get(Page({"https://a.example:81"}), "/"), "Content-Security-Policy");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'; script-src 'self'; style-src 'self';"));
  EXPECT_THAT(policy, HasSubstr(" https://a.example:81; "));
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(policy, HasSubstr("require-trusted-types-for 'script'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  for (const char* origin : {"a.example", "http://", "ftp://a", "http://a; script-src *", "http://a/b c"}) {
    Router router;
    EXPECT_FALSE(AddWebPage({origin}, &router).has_value()) << origin;
  }
}

TEST(WebPage, AFolderTakesItsPlace) {
  const fs::path folder = fs::path(testing::TempDir()) / "llamabox-web-folder";
  fs::create_directories(folder / "site" / "sub");
  std::ofstream(folder / "secret.txt") << "secret";
  std::ofstream(folder / "site" / "index.html") << "mine";
  std::ofstream(folder / "site" / "sub" / "a.css") << "css";
  Router router;
  ASSERT_TRUE(AddWebFolder((folder / "site").string(), &router).has_value());
  EXPECT_EQ(Get(router, "/").body, "mine");
  EXPECT_EQ(Get(router, "/index.html").content_type, "text/html; charset=utf-8");
  EXPECT_EQ(Get(router, "/sub/a.css").body, "css");
  for (const char* path : {"/../secret.txt", "/sub/../../secret.txt", "/app.js", "/sub", "/secret.txt"}) {
    EXPECT_EQ(Get(router, path).status, 404) << path;
  }
  std::ofstream(folder / "site" / "index.html") << "changed";
  EXPECT_EQ(Get(router, "/").body, "changed");
  fs::remove(folder / "site" / "sub" / "a.css");
  EXPECT_EQ(Get(router, "/sub/a.css").status, 404);
  EXPECT_FALSE(AddWebFolder((folder / "nothing").string(), &router).has_value());
  fs::remove_all(folder);
}

}  // namespace
}  // namespace lb::server

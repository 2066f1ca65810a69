// The front door: malformed and oversized requests, methods and paths, keys, origins, pipelining,
// slow senders, the state of loading. Real sockets.
#include "tests/server/server_fixture.h"

namespace lb::server {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(FrontDoor, AnswersAndKeepsTheConnection) {
  TestServer server;
  TestClient client = server.Connect();
  for (int i = 0; i < 3; ++i) {
    client.Get("/health");
    EXPECT_EQ(StatusOf(client.ReadReply()), 200);
    client.Post(kChat, ChatBody(false, 3));
    const std::string reply = client.ReadReply();
    EXPECT_EQ(StatusOf(reply), 200);
    EXPECT_THAT(reply, HasSubstr("\"finish_reason\":\"length\""));
    client.Post(kChat, "{oops");
    EXPECT_EQ(StatusOf(client.ReadReply()), 400);
  }
}

TEST(FrontDoor, MalformedJsonIs400WithThePlace) {
  TestServer server;
  TestClient client = server.Connect();
  for (const char* body : {"", "[", "{\"messages\":", "[1]", "\xff\xfe{\x00}", "\xEF\xBB\xBF{}"}) {
    client.Post(kChat, body);
    const std::string reply = client.ReadReply();
    EXPECT_EQ(StatusOf(reply), 400) << body;
    EXPECT_THAT(reply, HasSubstr("invalid_request_error"));
  }
  client.Post(kChat, "{\n\"a\": x}");
  EXPECT_THAT(client.ReadReply(), HasSubstr("line 2, column 6"));
}

TEST(Origins, LocalhostIsThisMachineAtAnyPort) {
  const std::vector<std::string> local = {"localhost"};
  for (const char* origin : {"http://localhost", "http://localhost:8080", "https://127.0.0.1:3000",
                             "http://[::1]", "http://[::1]:1"}) {
    EXPECT_EQ(AllowedOrigin(local, origin), origin);
  }
  for (const char* origin : {"http://notlocalhost", "http://localhost.evil.com", "http://127.0.0.11",
                             "http://evil.com", ""}) {
    EXPECT_EQ(AllowedOrigin(local, origin), "") << origin;
  }
}

TEST(FrontDoor, UnknownPathsAndMethods) {
  TestServer server;
  TestClient client = server.Connect();
  for (const char* path : {"/nope", "//v1/models", "/v1/models/", "/V1/models", "/"}) {
    client.Get(path);
    const std::string reply = client.ReadReply();
    EXPECT_EQ(StatusOf(reply), 404) << path;
    EXPECT_THAT(reply, HasSubstr("\"error\""));
  }
  client.Get(kChat);
  std::string reply = client.ReadReply();
  EXPECT_EQ(StatusOf(reply), 405);
  EXPECT_THAT(reply, HasSubstr("Allow: POST"));
  client.Post("/health", "{}");
  EXPECT_THAT(client.ReadReply(), HasSubstr("Allow: GET, HEAD"));
  client.Send("OPTIONS /health HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadUntil("\r\n\r\n")), 200);
  client.Send("HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), HasSubstr("Content-Length: 15"));
  client.Get("/health?x=y");
  EXPECT_EQ(StatusOf(client.ReadReply()), 200);
}

TEST(FrontDoor, BadHttpIs400AndTheEnd) {
  TestServer server;
  for (const char* text : {"nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /\x01 HTTP/1.1\r\n\r\n",
                           "POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n"}) {
    TestClient client = server.Connect();
    client.Send(text);
    EXPECT_EQ(StatusOf(client.ReadReply()), 400) << text;
    EXPECT_TRUE(client.Closed());
  }
}

TEST(FrontDoor, LimitsOnHeadAndBody) {
  ServerConfig config;
  config.max_body_bytes = 1 << 20;
  config.max_header_bytes = 16 << 10;
  TestServer server(config);
  {
    TestClient client = server.Connect();
    client.Send("GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(64 << 10, 'x') + "\r\n\r\n");
    EXPECT_EQ(StatusOf(client.ReadReply()), 431);
  }
  {
    TestClient client = server.Connect();  // told by Content-Length: refused at once
    client.Send("POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 600000000\r\n\r\n");
    EXPECT_EQ(StatusOf(client.ReadReply()), 413);
    EXPECT_TRUE(client.Closed());
  }
  {
    TestClient client = server.Connect();  // found out on the way; the client still sees the answer
    client.Send("POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "10000\r\n" + std::string(65536, 'x') + "\r\n";
    for (int i = 0; i < 20; ++i) client.Send(chunk);
    EXPECT_EQ(StatusOf(client.ReadReply()), 413);
  }
  TestClient client = server.Connect();
  client.Send("POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
              "7\r\n{\"conte\r\n9\r\nnt\":\"ab\"}\r\n0\r\n\r\n");
  EXPECT_THAT(client.ReadReply(), HasSubstr("[97,98]"));
}

TEST(FrontDoor, ExpectContinue) {
  TestServer server;
  TestClient client = server.Connect();
  client.Send("POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n"
              "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadUntil("\r\n\r\n")), 100);
  client.Send("{\"content\":\"a\"}");
  EXPECT_EQ(StatusOf(client.ReadReply()), 200);
}

TEST(FrontDoor, SlowSendersAreCut) {
  ServerConfig config;
  config.idle_seconds = 0.3;
  config.body_seconds = 0.3;
  TestServer server(config);
  {
    TestClient client = server.Connect();
    client.Send("GET /hea");
    EXPECT_EQ(StatusOf(client.ReadReply(3000)), 408);
    EXPECT_TRUE(client.Closed());
  }
  {
    TestClient client = server.Connect();
    client.Send("POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
    // A byte now and then does not buy time.
    for (int i = 0; i < 4; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      client.Send(" ");
    }
    EXPECT_EQ(StatusOf(client.ReadReply(3000)), 408);
  }
  {
    TestClient client = server.Connect();  // idle: nothing to answer
    EXPECT_TRUE(client.Closed(3000));
    EXPECT_EQ(client.unread(), "");
  }
}

TEST(FrontDoor, PipelinedRequestsAreAnsweredInOrder) {
  TestServer server;
  TestClient client = server.Connect();
  // The second and third arrive while the first is being answered.
  client.Post(kChat, ChatBody(false, 20));
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  client.Get("/health");
  client.Post("/tokenize", "{\"content\":\"a\"}");
  EXPECT_THAT(client.ReadReply(), HasSubstr("chat.completion"));
  EXPECT_THAT(client.ReadReply(), HasSubstr("\"status\""));
  EXPECT_THAT(client.ReadReply(), HasSubstr("[97]"));
  EXPECT_EQ(server.engine.cancelled, 0);
}

TEST(FrontDoor, RequestIdComesBackWhenItIsSafe) {
  TestServer server;
  TestClient client = server.Connect();
  client.Get("/v1/models", "X-Request-ID: abc-1.2:3\r\n");
  EXPECT_THAT(client.ReadReply(), HasSubstr("X-Request-ID: abc-1.2:3\r\n"));
  client.Get("/v1/models", "X-Request-ID: a b\"\r\n");
  EXPECT_THAT(client.ReadReply(), HasSubstr("X-Request-ID: req-"));
}

TEST(FrontDoor, KeysAreNeededEverywhereButHealth) {
  ServerConfig config;
  config.api_keys = {"secret", "other"};
  TestServer server(config);
  const auto status = [&](const char* path, const char* headers) {
    TestClient client = server.Connect();
    client.Get(path, headers);
    return StatusOf(client.ReadReply());
  };
  EXPECT_EQ(status("/health", ""), 200);
  for (const char* path : {"/v1/models", "/metrics", "/props", "/nope", "//v1/models", kChat}) {
    EXPECT_EQ(status(path, ""), 401) << path;
  }
  EXPECT_EQ(status("/v1/models", "Authorization: Bearer secret\r\n"), 200);
  EXPECT_EQ(status("/v1/models", "Authorization: bearer other\r\n"), 200);
  EXPECT_EQ(status("/v1/models", "X-Api-Key: secret\r\n"), 200);
  for (const char* wrong : {"Authorization: Bearer secre\r\n", "Authorization: Bearer secrets\r\n",
                            "Authorization: Bearer \r\n", "Authorization: Basic secret\r\n",
                            "Authorization: secret\r\n", "X-Api-Key: \r\n"}) {
    EXPECT_EQ(status("/v1/models", wrong), 401) << wrong;
  }
  EXPECT_EQ(status("/v1/models?api_key=secret", ""), 401);
}

TEST(FrontDoor, OtherOriginsOnlyWhenAsked) {
  {
    TestServer server;
    TestClient client = server.Connect();
    client.Get("/health", "Origin: http://evil.example\r\n");
    EXPECT_THAT(client.ReadReply(), Not(HasSubstr("Access-Control")));
    client.Send("OPTIONS /health HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\n\r\n");
    EXPECT_THAT(client.ReadUntil("\r\n\r\n"), Not(HasSubstr("Access-Control")));
  }
  ServerConfig config;
  config.cors_origins = {"http://good.example"};
  TestServer server(config);
  TestClient client = server.Connect();
  client.Get("/health", "Origin: http://evil.example\r\n");
  EXPECT_THAT(client.ReadReply(), Not(HasSubstr("Access-Control")));
  client.Send("OPTIONS /v1/models HTTP/1.1\r\nHost: x\r\nOrigin: http://good.example\r\n\r\n");
  const std::string reply = client.ReadUntil("\r\n\r\n");
  EXPECT_THAT(reply, HasSubstr("Access-Control-Allow-Origin: http://good.example\r\n"));
  EXPECT_THAT(reply, Not(HasSubstr("Credentials")));
}

TEST(FrontDoor, LoadingIs503WithProgress) {
  TestServer server({}, std::chrono::milliseconds(2), false);
  server.readiness.SetProgress(0.25f);
  TestClient client = server.Connect();
  for (const char* path : {"/health", "/v1/models", "/props"}) {
    client.Get(path);
    const std::string reply = client.ReadReply();
    EXPECT_EQ(StatusOf(reply), 503);
    EXPECT_THAT(reply, HasSubstr("Retry-After: 1"));
    EXPECT_THAT(reply, HasSubstr("\"message\":\"Loading model\",\"type\":\"unavailable_error\","
                                 "\"code\":503"));
    EXPECT_THAT(reply, HasSubstr("\"progress\":0.25"));
  }
  client.Post(kChat, ChatBody(false, 1));
  EXPECT_EQ(StatusOf(client.ReadReply()), 503);
  client.Get("/metrics");
  EXPECT_EQ(StatusOf(client.ReadReply()), 200);
  server.SetReady();
  client.Get("/health");
  EXPECT_EQ(StatusOf(client.ReadReply()), 200);
}

TEST(FrontDoor, UnixSocket) {
  ServerConfig config;
  config.host = testing::TempDir() + "llama-box-test-" + std::to_string(::getpid()) + ".sock";
  {
    TestServer server(config);
    TestClient client(config.host);
    ASSERT_TRUE(client.connected());
    client.Post(kChat, ChatBody(false, 3));
    EXPECT_EQ(StatusOf(client.ReadReply()), 200);
    // A second server may not take a socket that is in use.
    EXPECT_FALSE(HttpServer::Listen(config, Router(), nullptr).has_value());
  }
  EXPECT_NE(::access(config.host.c_str(), F_OK), 0);
}

TEST(FrontDoor, BusyPortIsAnErrorThatNamesIt) {
  TestServer server;
  ServerConfig config;
  config.port = server.http->port();
  const auto second = HttpServer::Listen(config, Router(), nullptr);
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error().message, HasSubstr(std::to_string(config.port)));
}

TEST(FrontDoor, MetricsCountReplies) {
  TestServer server;
  TestClient client = server.Connect();
  client.Post(kChat, ChatBody(false, 5));
  EXPECT_EQ(StatusOf(client.ReadReply()), 200);
  ASSERT_TRUE(Eventually([&] { return server.logged == 1; }));
  client.Get("/metrics");
  const std::string text = client.ReadReply();
  EXPECT_THAT(text, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(text, HasSubstr("llamabox:http_replies_total{status=\"200\"} 1"));
  EXPECT_THAT(text, HasSubstr("vllm:num_requests_running"));
  EXPECT_THAT(text, HasSubstr("vllm:time_to_first_token_seconds_count 0"));  // the fake counts none
}

}  // namespace
}  // namespace lb::server

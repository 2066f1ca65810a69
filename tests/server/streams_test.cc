// Streams and the people at their other end: who leaves is noticed at once, who stays is never cut
// off, and stopping the server ends everything in time. Real sockets.
#include "tests/server/server_fixture.h"

#include <sys/resource.h>

namespace lb::server {
namespace {

using testing::HasSubstr;

void RaiseDescriptorLimit() {
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

TEST(Streams, ChunkedEventsWithTheRightHead) {
  TestServer server;
  TestClient client = server.Connect();
  client.Post(kChat, ChatBody(true, 4));
  const std::string head = client.ReadUntil("\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(head, HasSubstr("Cache-Control: no-cache\r\n"));
  EXPECT_THAT(head, HasSubstr("X-Accel-Buffering: no\r\n"));
  EXPECT_THAT(client.ReadUntil("0\r\n\r\n"), HasSubstr("data: [DONE]\n\n"));
  client.Get("/health");  // the connection goes on
  EXPECT_EQ(StatusOf(client.ReadReply()), 200);
}

TEST(Streams, OldClientsGetThemUnchunked) {
  TestServer server;
  TestClient client = server.Connect();
  const std::string body = ChatBody(true, 4);
  client.Send("POST " + std::string(kChat) + " HTTP/1.0\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string head = client.ReadUntil("\r\n\r\n");
  EXPECT_EQ(head.find("chunked"), std::string::npos);
  EXPECT_THAT(client.ReadUntil("data: [DONE]\n\n"), HasSubstr("data: {"));
  EXPECT_TRUE(client.Closed());
}

TEST(Streams, CommentLinesWhileSilent) {
  ServerConfig config;
  config.comment_seconds = 0.05;
  TestServer server(config, std::chrono::milliseconds(400));
  TestClient client = server.Connect();
  client.Post(kChat, ChatBody(true, 1));
  const std::string all = client.ReadUntil("0\r\n\r\n");
  EXPECT_THAT(all, HasSubstr(": waiting\n\n"));
  EXPECT_THAT(all, HasSubstr("data: [DONE]"));
}

TEST(Streams, TheLivePictureComesAndEndsWithTheServerAtOnce) {
  ServerConfig config;
  config.drain_seconds = 3600;  // what would wait for the stream would hang
  TestServer server(config);
  TestClient client = server.Connect(), counted = server.Connect(), wrong = server.Connect();
  client.Get("/kv/events");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(client.ReadUntil("event: kv\ndata: {"), HasSubstr("event: stats\ndata: {\"time_ms\":"));
  counted.Get("/kv/events?events=2&interval_ms=100");
  const std::string all = counted.ReadUntil("0\r\n\r\n");
  size_t num_stats = 0;
  for (size_t at = 0; (at = all.find("event: stats", at)) != std::string::npos; ++at) ++num_stats;
  EXPECT_EQ(num_stats, 2u);
  wrong.Get("/kv/events?interval_ms=1");
  EXPECT_EQ(StatusOf(wrong.ReadReply()), 400);
  server.http->Stop();
  EXPECT_THAT(client.ReadUntil("0\r\n\r\n"), HasSubstr("the server is shutting down"));
}

TEST(Streams, EveryWayToLeaveCancels) {
  TestServer server;
  int left = 0;
  for (const bool stream : {true, false}) {
    for (int way = 0; way < 3; ++way) {
      TestClient client = server.Connect();
      client.Post(kChat, ChatBody(stream, 1000000));
      ASSERT_TRUE(Eventually([&] { return server.engine.submitted == left + 1; }));
      if (stream) client.ReadUntil("data: ");
      if (way == 0) client.Close();
      if (way == 1) client.Reset();
      if (way == 2) client.ShutdownSend();
      ++left;
      EXPECT_TRUE(Eventually([&] { return server.engine.cancelled == left; }, 2000))
          << "stream " << stream << " way " << way;
    }
  }
  EXPECT_TRUE(Eventually([&] { return server.http->num_connections() == 0; }));
}

TEST(Streams, LeavingWhileThePromptIsBeingPreparedCancels) {
  TestServer server;
  for (int i = 0; i < 20; ++i) {
    TestClient client = server.Connect();
    client.Post(kChat, ChatBody(true, 1000000));
    client.Close();
  }
  EXPECT_TRUE(Eventually([&] { return server.http->num_connections() == 0; }));
  EXPECT_EQ(server.engine.cancelled, server.engine.submitted);
}

TEST(Streams, AThousandIdleConnectionsCostNothing) {
  RaiseDescriptorLimit();
  TestServer server;
  std::vector<TestClient> idle;
  for (int i = 0; i < 1000; ++i) {
    idle.push_back(server.Connect());
    ASSERT_TRUE(idle.back().connected());
  }
  ASSERT_TRUE(Eventually([&] { return server.http->num_connections() == 1000; }));
  TestClient client = server.Connect();
  client.Post(kChat, ChatBody(false, 3));
  EXPECT_EQ(StatusOf(client.ReadReply()), 200);
  for (int i = 0; i < 1000; i += 97) {
    idle[static_cast<size_t>(i)].Get("/health");
    EXPECT_EQ(StatusOf(idle[static_cast<size_t>(i)].ReadReply()), 200);
  }
  idle.clear();
  EXPECT_TRUE(Eventually([&] { return server.http->num_connections() == 1; }));
}

// Waiting for readability instead of reading cancelled some of these; see session.h.
TEST(Streams, NoneOfAThousandLiveOnesIsCancelled) {
  RaiseDescriptorLimit();
  TestServer server({}, std::chrono::milliseconds(50));
  std::vector<TestClient> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(server.Connect());
    ASSERT_TRUE(clients.back().Post(kChat, ChatBody(true, 20)));
  }
  int complete = 0;
  for (TestClient& client : clients) {
    const std::string all = client.ReadUntil("0\r\n\r\n", 60000);
    size_t events = 0;
    for (size_t at = 0; (at = all.find("data: {", at)) != std::string::npos; ++at) ++events;
    // The role, twenty letters, the finish.
    if (events == 22 && all.find("data: [DONE]") != std::string::npos) ++complete;
  }
  EXPECT_EQ(complete, 1000);
  EXPECT_EQ(server.engine.cancelled, 0);
}

TEST(Streams, AThousandDroppedOnesAreAllReleased) {
  RaiseDescriptorLimit();
  TestServer server({}, std::chrono::milliseconds(50));
  std::vector<TestClient> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(server.Connect());
    clients.back().Post(kChat, ChatBody(i % 2 == 0, 1000000));
  }
  ASSERT_TRUE(Eventually([&] { return server.engine.submitted == 1000; }, 30000));
  for (size_t i = 0; i < clients.size(); ++i) i % 3 == 0 ? clients[i].Reset() : clients[i].Close();
  EXPECT_TRUE(Eventually([&] { return server.engine.cancelled == 1000; }, 10000))
      << server.engine.cancelled;
  EXPECT_TRUE(Eventually([&] { return server.http->num_connections() == 0; }));
}

TEST(Streams, HealthAnswersBesideThem) {
  TestServer server({}, std::chrono::milliseconds(1));
  std::vector<TestClient> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(server.Connect());
    clients.back().Post(kChat, ChatBody(false, 1000000));
  }
  TestClient client = server.Connect();
  for (int i = 0; i < 20; ++i) {
    client.Get("/health");
    EXPECT_EQ(StatusOf(client.ReadReply(1000)), 200);
  }
}

TEST(Stop, LetsShortAnswersFinishAndEndsLongOnes) {
  ServerConfig config;
  config.drain_seconds = 1.0;
  TestServer server(config, std::chrono::milliseconds(5));
  TestClient idle = server.Connect(), brief = server.Connect(), stream = server.Connect(),
             plain = server.Connect();
  brief.Post(kChat, ChatBody(false, 40));  // about 0.2 s
  stream.Post(kChat, ChatBody(true, 1000000));
  plain.Post(kChat, ChatBody(false, 1000000));
  ASSERT_TRUE(Eventually([&] { return server.engine.submitted == 3; }));
  const auto start = std::chrono::steady_clock::now();
  server.http->Stop();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_LT(seconds, 20.0);  // the long answers would take hours
  EXPECT_TRUE(idle.Closed());
  EXPECT_EQ(StatusOf(brief.ReadReply()), 200);
  EXPECT_THAT(stream.ReadUntil("data: [DONE]\n\n"), HasSubstr("the server is shutting down"));
  EXPECT_EQ(StatusOf(plain.ReadReply()), 503);
  EXPECT_FALSE(server.Connect().connected());
  EXPECT_EQ(server.engine.cancelled, 2);
}

TEST(Stop, IdleServersStopAtOnce) {
  TestServer server;
  TestClient a = server.Connect(), b = server.Connect();
  ASSERT_TRUE(Eventually([&] { return server.http->num_connections() == 2; }));
  const auto start = std::chrono::steady_clock::now();
  server.http->Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));  // idle: 60
}

}  // namespace
}  // namespace lb::server

// The server against peers that speak plain HTTP, badly, slowly, too much or not at all.
#include "transport/https/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "transport/https/https_test_fixture.h"
#include "transport/https/raw_client.h"

namespace fed_learn {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing::HttpsTest;
using testing::Pattern;
using testing::RawClient;
using testing::RecordingClient;
using ::testing::StartsWith;

class ServerTest : public HttpsTest {
 protected:
  // What a site gets that sends `bytes` and then waits for the end.
  std::string Ask(const std::string& bytes) {
    return Beside([port = server->port(), tls = ca.Site("site_1"), bytes] {
      RawClient client(port);
      if (!client.Handshake(tls)) return std::string("no handshake");
      client.Write(bytes);
      return client.Read();
    });
  }

  static std::string Body(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

  // With one deadline that passes soon.
  HttpsServerOptions Impatient(Duration HttpsDeadlines::*deadline) {
    HttpsServerOptions options = ServerOptions();
    options.deadlines.*deadline = milliseconds(60);
    return options;
  }
};

constexpr std::string_view kUpgrade =
    "GET /v1/control HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// --- What any HTTP client may do ---

TEST_F(ServerTest, AGetAnswersTheWholeObject) {
  StartServer();
  handler.objects["/v1/x"] = "0123456789";
  const std::string answer = Ask("GET /v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 10\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: application/octet-stream\r\n"));
  EXPECT_EQ(Body(answer), "0123456789");
}

TEST_F(ServerTest, RangesAreServed) {
  StartServer();
  handler.objects["/v1/x"] = "0123456789";
  const auto get = [&](const std::string& range) {
    return Ask("GET /v1/x HTTP/1.1\r\nHost: x\r\nRange: " + range + "\r\nConnection: close\r\n\r\n");
  };
  EXPECT_THAT(get("bytes=4-"), HasSubstr("Content-Range: bytes 4-9/10\r\n"));
  EXPECT_THAT(get("bytes=4-"), StartsWith("HTTP/1.1 206 "));
  EXPECT_EQ(Body(get("bytes=4-")), "456789");
  EXPECT_EQ(Body(get("bytes=4-5")), "45");
  EXPECT_EQ(Body(get("bytes=4-99")), "456789");
  EXPECT_EQ(Body(get("bytes=0-0")), "0");
  EXPECT_EQ(Body(get("bytes=-3")), "0123456789");  // not understood: all of it, as HTTP has it
  EXPECT_THAT(get("bytes=10-"), StartsWith("HTTP/1.1 416 "));
  EXPECT_THAT(get("bytes=10-"), HasSubstr("Content-Range: bytes */10\r\n"));
}

TEST_F(ServerTest, AnEmptyObjectIsServedForAnyRange) {
  StartServer();
  handler.objects["/v1/x"] = "";
  for (const std::string range : {"", "Range: bytes=0-\r\n", "Range: bytes=0-5\r\n"}) {
    const std::string answer = Ask("GET /v1/x HTTP/1.1\r\nHost: x\r\n" + range + "Connection: close\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n")) << range;
    EXPECT_THAT(answer, HasSubstr("Content-Length: 0\r\n"));
  }
}

TEST_F(ServerTest, APutWithoutExpectIsTaken) {
  StartServer();
  const std::string answer =
      Ask("PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(Body(answer), "{\"size\":5}");
  EXPECT_EQ(handler.objects["/v1/x"], "hello");
}

TEST_F(ServerTest, APutMayGoOnInTheMiddle) {
  StartServer();
  handler.sinks["/v1/x"] = std::make_shared<TextSink>(100);
  ASSERT_TRUE(handler.sinks["/v1/x"]->Expect(5).has_value());
  std::memcpy(handler.sinks["/v1/x"]->Space().data(), "he", 2);
  handler.sinks["/v1/x"]->Advance(2);
  Ask("PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Range: bytes 2-4/5\r\nConnection: "
      "close\r\n\r\nllo");
  EXPECT_EQ(handler.objects["/v1/x"], "hello");
}

TEST_F(ServerTest, RequestsInOnePacketAreAnsweredInOrder) {
  StartServer();
  handler.objects["/v1/x"] = "first";
  const std::string answer =
      Ask("GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\nPUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecond"
          "GET /v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("\r\n\r\nfirstHTTP/1.1 200 OK"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\n{\"size\":6}HTTP/1.1 200 OK"));
  EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\nsecond"));
}

TEST_F(ServerTest, OtherPathsAreText) {
  StartServer();
  handler.objects["/healthz"] = "ok";
  EXPECT_THAT(Ask("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              HasSubstr("Content-Type: text/plain; charset=utf-8\r\n"));
}

TEST_F(ServerTest, APutIsToldToGoOnOnlyWhenTheDriverHasTakenIt) {
  StartServer();
  handler.hold_puts = true;
  auto peer = std::async(std::launch::async, [port = server->port(), tls = ca.Site("site_1")] {
    RawClient client(port);
    client.Handshake(tls);
    client.Write(
        "PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
    const std::string first = client.Read("\r\n\r\n");
    client.Write("hello");
    return first + "|" + client.Read();
  });
  RunUntil([&] { return !handler.held_puts.empty(); });
  EXPECT_EQ(server->Metrics().body_bytes_in, 0u);
  handler.held_puts[0]();
  PollUntil([&] { return peer.wait_for(milliseconds(0)) == std::future_status::ready; });
  EXPECT_THAT(peer.get(), StartsWith("HTTP/1.1 100 Continue\r\n\r\n|HTTP/1.1 200 OK\r\n"));
}

// --- What is refused ---

TEST_F(ServerTest, ARefusalOfABodyThatFollowsIsStillRead) {
  StartServer();
  handler.refuse_puts = FailedPrecondition("round 3 is over");
  for (const std::size_t size : {0, 100, 200'000, 900'000}) {
    const std::string answer =
        Ask("PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + Pattern(size) +
            "GET /v1/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 409 Conflict\r\n")) << size;
    EXPECT_THAT(answer, HasSubstr("round 3 is over"));
    // The connection goes on, unless that were too much to skip.
    EXPECT_THAT(answer, HasSubstr(size <= 200'000 ? "HTTP/1.1 404 " : "Connection: close"));
  }
}

TEST_F(ServerTest, AnObjectOverTheSinksLimitIsRefusedBeforeItsBody) {
  StartServer();
  handler.object_bytes_max = 10;
  const std::string answer =
      Ask("PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(answer, HasSubstr("at most 10"));
  EXPECT_EQ(handler.cut_puts, 1);
}

TEST_F(ServerTest, RequestsThatAreNotOurs) {
  StartServer();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"POST /v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 "},
      {"PUT /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "HTTP/1.1 411 "},
      {"PUT /v1/x HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 411 "},
      {"GET /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 400 "},
      {"PUT /v1/x HTTP/1.1\r\nContent-Length: 5\r\nContent-Range: bytes 0-3/4\r\nConnection: close\r\n\r\nhello",
       "HTTP/1.1 400 "},
      {"PUT /v1/x HTTP/1.1\r\nContent-Length: 4\r\nContent-Range: bytes 0-3/9\r\nConnection: close\r\n\r\nhell",
       "HTTP/1.1 400 "},
      {"nonsense\r\n\r\n", "HTTP/1.1 400 "},
      {"GET http://elsewhere/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
      {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 400 "},
      {std::string("GET /") + std::string(20'000, 'a'), "HTTP/1.1 431 "},
      {std::string("GET / HTTP/1.1\r\nx: ") + std::string(17'000, 'a') + "\r\n\r\n", "HTTP/1.1 431 "},
      {"GET /v1/other HTTP/1.1\r\n" + std::string(kUpgrade.substr(26)), "HTTP/1.1 400 "},
      {std::string(kUpgrade) + "early frame", "HTTP/1.1 400 "},
  };
  for (const auto& [bytes, status] : cases) {
    const std::string answer = Ask(bytes);
    EXPECT_THAT(answer, StartsWith(status)) << bytes.substr(0, 100);
    EXPECT_THAT(answer, HasSubstr("{\"kind\":\"invalid_argument\",\"message\":\"")) << bytes.substr(0, 100);
  }
  EXPECT_TRUE(handler.requests.empty());
}

TEST_F(ServerTest, ABodyCutShortComesBackToTheDriverAndGoesOnLater) {
  StartServer();
  Beside([port = server->port(), tls = ca.Site("site_1")] {
    RawClient client(port);
    client.Handshake(tls);
    client.Write("PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123");
    return 0;
  });
  RunUntil([&] { return handler.cut_puts == 1; });
  EXPECT_EQ(handler.sinks["/v1/x"]->offset(), 4u);
  Ask("PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nContent-Range: bytes 4-9/10\r\nConnection: "
      "close\r\n\r\n456789");
  EXPECT_EQ(handler.objects["/v1/x"], "0123456789");
}

TEST_F(ServerTest, ABodyLongerThanAnnouncedIsNotPartOfIt) {
  StartServer();
  const std::string answer = Ask("PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello, and more\r\n\r\n");
  EXPECT_EQ(handler.objects["/v1/x"], "hello");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 400 "));
}

TEST_F(ServerTest, ASinkThatComesAfterThePeerHasGoneIsGivenBack) {
  StartServer();
  handler.hold_puts = true;
  Beside([port = server->port(), tls = ca.Site("site_1")] {
    RawClient client(port);
    client.Handshake(tls);
    client.Write("PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    return 0;
  });
  RunUntil([&] { return !handler.held_puts.empty(); });
  PollUntil([&] { return server->Metrics().connections == 0; });
  handler.held_puts[0]();
  RunUntil([&] { return handler.cut_puts == 1; });
}

TEST_F(ServerTest, MoreRequestsThanAllowedAreRefusedAndAtLastTheConnection) {
  HttpsServerOptions options = ServerOptions();
  options.limits.requests_per_second = 0.001;
  options.limits.requests_burst = 3;
  StartServer(std::move(options));
  handler.objects["/v1/x"] = "hello";
  std::string many;
  for (int i = 0; i < 200; ++i) many += "GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string answer = Ask(many);
  std::size_t served = 0;
  std::size_t refused = 0;
  for (std::size_t at = 0; (at = answer.find("HTTP/1.1 ", at)) != std::string::npos; ++at) {
    ++(answer.compare(at + 9, 3, "200") == 0 ? served : refused);
  }
  EXPECT_EQ(served, 3u);
  EXPECT_EQ(refused, 101u);
  EXPECT_EQ(Refused(Refusal::kRate), 101u);
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 429 Too Many Requests\r\n"));
  EXPECT_THAT(answer, HasSubstr("Retry-After: 1\r\n"));
}

TEST_F(ServerTest, MoreConnectionsThanOnePeerMayHave) {
  HttpsServerOptions options = ServerOptions();
  options.limits.connections_per_peer_max = 1;
  StartServer(std::move(options));
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  client->Open();
  RunUntil([&] { return recorder.opened == 1; });
  EXPECT_THAT(Ask("GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 429 "));
  EXPECT_EQ(Refused(Refusal::kConnections), 1u);
}

TEST_F(ServerTest, MoreConnectionsThanTheServerHasPlacesFor) {
  HttpsServerOptions options = ServerOptions();
  options.limits.connections_max = 1;
  StartServer(std::move(options));
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  client->Open();
  RunUntil([&] { return recorder.opened == 1; });
  EXPECT_EQ(Ask("GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n"), "no handshake");
  client->Close();
  PollUntil([&] { return server->Metrics().connections == 0; });
  EXPECT_THAT(Ask("GET /v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
}

// --- Who makes it wait ---

TEST_F(ServerTest, AHandshakeThatDoesNotGoOnIsCut) {
  StartServer(Impatient(&HttpsDeadlines::handshake));
  for (const std::string& begun : {std::string(), std::string("\x16\x03\x01\x02\x00\x01", 6)}) {
    const auto left = Beside([port = server->port(), begun] {
      RawClient client(port);
      client.Write(begun);
      return client.Read();
    });
    EXPECT_EQ(left, "");
  }
  EXPECT_EQ(Refused(Refusal::kSlowHandshake), 2u);
}

TEST_F(ServerTest, AHeadThatDoesNotEndIsCut) {
  StartServer(Impatient(&HttpsDeadlines::header));
  EXPECT_EQ(Ask("GET /v1/x HTTP/1.1\r\nHost:"), "");
  EXPECT_EQ(Refused(Refusal::kSlowHeader), 1u);
}

TEST_F(ServerTest, AnIdleConnectionIsClosedWithoutReproach) {
  StartServer(Impatient(&HttpsDeadlines::idle));
  EXPECT_EQ(Ask(""), "");
  EXPECT_EQ(Refused(Refusal::kSlowHeader), 0u);
  EXPECT_EQ(Refused(Refusal::kStalledBody), 0u);
}

TEST_F(ServerTest, ABodyThatStallsIsCutAndGivenBack) {
  StartServer(Impatient(&HttpsDeadlines::progress));
  EXPECT_EQ(Ask("PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123"), "");
  RunUntil([&] { return handler.cut_puts == 1; });
  EXPECT_EQ(Refused(Refusal::kStalledBody), 1u);
}

TEST_F(ServerTest, APeerThatDoesNotReadItsBodyIsCut) {
  StartServer(Impatient(&HttpsDeadlines::progress));
  handler.objects["/v1/x"] = Pattern(30'000'000);
  auto peer = std::make_unique<RawClient>(server->port());
  Beside([&] {
    peer->Handshake(ca.Site("site_1"));
    return peer->Write("GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n");
  });
  PollUntil([&] { return Refused(Refusal::kStalledBody) == 1 && server->Metrics().connections == 0; });
}

TEST_F(ServerTest, WhoWaitsForTheDriverHearsASignOfLife) {
  StartServer(Impatient(&HttpsDeadlines::heartbeat));
  handler.hold_gets = true;
  auto peer = std::async(std::launch::async, [port = server->port(), tls = ca.Site("site_1")] {
    RawClient client(port);
    client.Handshake(tls);
    client.Write("GET /v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const std::string first = client.Read("\r\n\r\n");
    return std::pair(first, client.Read());
  });
  RunUntil([&] { return !handler.held_gets.empty(); });
  const std::uint64_t before = server->Metrics().wire_bytes_out;
  PollUntil([&] { return server->Metrics().wire_bytes_out >= before + 100; });  // two signs
  handler.held_gets[0](std::shared_ptr<const ByteSource>(std::make_shared<TextSource>("hello")));
  PollUntil([&] { return peer.wait_for(milliseconds(0)) == std::future_status::ready; });
  const auto [first, rest] = peer.get();
  EXPECT_THAT(first, StartsWith("HTTP/1.1 102 Processing\r\n\r\n"));
  EXPECT_THAT(rest, HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(rest, ::testing::EndsWith("hello"));
}

// --- Sessions ---

TEST_F(ServerTest, AControlMessageOverTheLimitEndsTheSession) {
  HttpsServerOptions options = ServerOptions();
  options.message_bytes_max = 1000;
  StartServer(std::move(options));
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  client->Open();
  RunUntil([&] { return recorder.opened == 1; });
  client->Send({{"text", std::string(900, 'a')}});
  client->Send({{"text", std::string(1000, 'a')}});
  RunUntil(
      [&] { return !handler.order.empty() && handler.sessions[handler.order[0]].closed && !recorder.closed.empty(); });
  EXPECT_EQ(handler.sessions[handler.order[0]].messages.size(), 1u);
  EXPECT_EQ(handler.sessions[handler.order[0]].closed->kind(), ErrorKind::kResourceExhausted);
}

TEST_F(ServerTest, WhatIsNotAJsonObjectEndsTheSessionAndSaysWhy) {
  StartServer();
  int sessions = 0;
  for (const std::string payload : {"{", "[1]", "\"text\"", "{\"a\":1,\"a\":2}"}) {
    const std::string answer = Beside([port = server->port(), tls = ca.Site("site_1"), payload] {
      RawClient client(port);
      client.Handshake(tls);
      client.Write(kUpgrade);
      const std::string accepted = client.Read("\r\n\r\n");
      const char head[] = {'\x81', static_cast<char>(0x80 | payload.size()), 0, 0, 0, 0};  // mask of zeros
      client.Write(std::string(head, sizeof head) + payload);
      return accepted + client.Read("message");
    });
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 101 Switching Protocols\r\n"));
    EXPECT_THAT(answer, HasSubstr("\"type\":\"closed\"")) << payload;
    EXPECT_THAT(answer, HasSubstr("invalid_argument")) << payload;
    ++sessions;
    RunUntil([&] {
      return handler.order.size() == static_cast<std::size_t>(sessions) &&
             handler.sessions[handler.order.back()].closed;
    });
    EXPECT_EQ(handler.sessions[handler.order.back()].closed->kind(), ErrorKind::kInvalidArgument);
    EXPECT_TRUE(handler.sessions[handler.order.back()].messages.empty());
  }
}

TEST_F(ServerTest, ASessionThatDoesNotReadIsClosedWhenItsQueueIsFull) {
  HttpsServerOptions options = ServerOptions();
  options.outbox_bytes_max = 100'000;
  StartServer(std::move(options));
  auto peer = std::make_unique<RawClient>(server->port());
  Beside([&] {
    peer->Handshake(ca.Site("site_1"));
    peer->Write(kUpgrade);
    return peer->Read("\r\n\r\n");
  });
  RunUntil([&] { return handler.order.size() == 1; });
  const auto& session = handler.sessions[handler.order[0]];
  const std::string text(10'000, 'a');
  std::function<void()> send = [&] {
    server->Send(handler.order[0], {{"text", text}});
    if (!session.closed) driver.Post(send);
  };
  send();
  RunUntil([&] { return session.closed.has_value(); });
  EXPECT_EQ(session.closed->kind(), ErrorKind::kResourceExhausted);
  PollUntil([&] { return server->Metrics().connections == 0; });
  EXPECT_EQ(Refused(Refusal::kOutbox), 1u);
}

TEST_F(ServerTest, ATalkativeSessionIsHeardAtItsPace) {
  HttpsServerOptions options = ServerOptions();
  options.limits.requests_per_second = 0.001;
  options.limits.requests_burst = 11;  // one for the upgrade
  StartServer(std::move(options));
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  client->Open();
  RunUntil([&] { return recorder.opened == 1 && !handler.order.empty(); });
  for (int i = 0; i < 100; ++i) client->Send({{"number", i}});
  PollUntil([&] { return client->Metrics().messages_out == 100; });
  RunUntil([&] { return handler.sessions[handler.order[0]].messages.size() == 10; });
  EXPECT_EQ(server->Metrics().messages_in, 10u);
  EXPECT_FALSE(handler.sessions[handler.order[0]].closed);
}

TEST_F(ServerTest, ASilentSessionIsGivenUp) {
  HttpsServerOptions options = ServerOptions();
  options.deadlines.control = milliseconds(100);
  StartServer(std::move(options));
  auto peer = std::make_unique<RawClient>(server->port());
  Beside([&] {
    peer->Handshake(ca.Site("site_1"));
    peer->Write(kUpgrade);
    return peer->Read("\r\n\r\n");
  });
  RunUntil([&] { return handler.order.size() == 1 && handler.sessions[handler.order[0]].closed; });
  EXPECT_EQ(handler.sessions[handler.order[0]].closed->kind(), ErrorKind::kUnavailable);
}

TEST_F(ServerTest, ASessionThatAnswersPingsLives) {
  HttpsServerOptions options = ServerOptions();
  options.deadlines.control = milliseconds(100);
  StartServer(std::move(options));
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  client->Open();
  RunUntil([&] { return recorder.opened == 1 && !handler.order.empty(); });
  bool later = false;
  driver.After(milliseconds(400), [&] { later = true; });
  RunUntil([&] { return later; });
  EXPECT_FALSE(handler.sessions[handler.order[0]].closed);
  EXPECT_TRUE(recorder.closed.empty());
}

// --- Start and end ---

TEST_F(ServerTest, APortInUseIsNamed) {
  StartServer();
  HttpsServerOptions options = ServerOptions();
  options.listen = "127.0.0.1:" + std::to_string(server->port());
  auto second = HttpsServerLink::Create(driver, options);
  ASSERT_TRUE(second.has_value());
  const Status started = (*second)->Start(handler);
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().kind(), ErrorKind::kAlreadyExists);
  EXPECT_THAT(started.error().message(), HasSubstr("port " + options.listen + " is in use"));
}

TEST_F(ServerTest, AnAddressThatIsNoneIsRefused) {
  for (const std::string listen :
       {"", "8002", "localhost:8002", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "1.2.3:1"}) {
    HttpsServerOptions options = ServerOptions();
    options.listen = listen;
    auto made = HttpsServerLink::Create(driver, options);
    ASSERT_TRUE(made.has_value());
    const Status started = (*made)->Start(handler);
    ASSERT_FALSE(started.has_value()) << listen;
    EXPECT_EQ(started.error().kind(), ErrorKind::kInvalidArgument);
    EXPECT_THAT(started.error().message(), HasSubstr("must be 'ADDRESS:PORT'"));
  }
}

TEST_F(ServerTest, ItEndsInTheMiddleOfEverythingWithoutAWord) {
  StartServer();
  handler.hold_puts = handler.hold_gets = true;
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  client->Open();
  const auto ignore = [](const auto&) {};
  client->Get("/v1/x", std::make_shared<TextSink>(10), ignore);
  client->Put("/v1/y", std::make_shared<TextSource>("hello"), 0, ignore);
  RunUntil([&] { return handler.held_puts.size() == 1 && handler.held_gets.size() == 1 && handler.order.size() == 1; });
  server.reset();
  handler.held_puts[0]();
  handler.held_gets.clear();
  RunUntil([&] { return !recorder.closed.empty(); });
  EXPECT_EQ(handler.cut_puts, 0);
  EXPECT_FALSE(handler.sessions[handler.order[0]].closed);
}

}  // namespace
}  // namespace fed_learn

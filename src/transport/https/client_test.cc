// The client when names, proxies, lines and servers fail it.
#include "transport/https/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "transport/https/dial.h"
#include "transport/https/https_test_fixture.h"
#include "transport/https/test_proxy.h"

namespace fed_learn {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing::HttpsTest;
using testing::kObjectBytesMax;
using testing::Pattern;
using testing::RecordingClient;
using testing::TestProxy;

class ClientTest : public HttpsTest {
 protected:
  Error OpenWith(HttpsClientOptions options) {
    RecordingClient recorder;
    const auto client = StartClient(std::move(options), recorder);
    client->Open();
    RunUntil([&] { return !recorder.closed.empty(); });
    return recorder.closed.empty() ? Internal("not closed") : recorder.closed[0];
  }

  std::string Complaint(HttpsClientOptions options) {
    const auto made = HttpsClientLink::Create(driver, std::move(options));
    return made.has_value() ? "" : made.error().message();
  }
};

TEST_F(ClientTest, OptionsThatCannotBeAreRefusedByName) {
  const TlsOptions tls = ca.Site("site_1");
  EXPECT_EQ(Complaint({.server = "server.example:8002", .tls = tls}), "");
  EXPECT_EQ(Complaint({.server = "[::1]:8002", .proxy = "http://user:p%40ss@proxy:3128/", .tls = tls}), "");
  for (const std::string server : {"", "server", "server:", ":8002", "server:0", "server:x", "server:70000", "a b:1"}) {
    EXPECT_EQ(Complaint({.server = server, .tls = tls}), "server '" + server + "': must be 'host:port'");
  }
  EXPECT_THAT(Complaint({.server = "a:1", .proxy = "proxy:3128", .tls = tls}), HasSubstr("the proxy must be"));
  EXPECT_THAT(Complaint({.server = "a:1", .proxy = "http://proxy", .tls = tls}), HasSubstr("proxy 'proxy'"));
  EXPECT_THAT(Complaint({.server = "a:1"}), HasSubstr("no CA certificate"));
}

TEST_F(ClientTest, AProxysPasswordIsInNoMessage) {
  EXPECT_EQ(
      Complaint({.server = "a:1", .proxy = "https://user:secret@proxy:1", .tls = ca.Site("site_1")}).find("secret"),
      std::string::npos);
  EXPECT_EQ((*ParseProxy("http://user:p%40ss@proxy:1"))->authorization, "Basic dXNlcjpwQHNz");
}

TEST_F(ClientTest, NobodyListensThere) {
  StartServer();
  const HttpsClientOptions options = ClientOptions();
  server.reset();
  const Error error = OpenWith(options);
  EXPECT_EQ(error.kind(), ErrorKind::kUnavailable);
  EXPECT_THAT(error.message(), HasSubstr(options.server + ": Connection refused; is it running"));
}

TEST_F(ClientTest, ANameThatIsNotKnown) {
  const Error error = OpenWith({.server = "no-such-host.invalid:8002", .tls = ca.Site("site_1")});
  EXPECT_EQ(error.kind(), ErrorKind::kUnavailable);
  EXPECT_THAT(error.message(), HasSubstr("the name is not known to this machine"));
}

TEST_F(ClientTest, WhatListensDoesNotSpeakTls) {
  TestProxy not_a_server;
  HttpsClientOptions options{.server = "127.0.0.1:" + std::to_string(not_a_server.port()), .tls = ca.Site("site_1")};
  options.deadlines.handshake = milliseconds(100);
  EXPECT_EQ(OpenWith(options).kind(), ErrorKind::kUnavailable);
}

TEST_F(ClientTest, AProxyIsGoneThrough) {
  StartServer();
  TestProxy proxy;
  HttpsClientOptions options = ClientOptions();
  options.proxy = proxy.Url();
  RecordingClient recorder;
  const auto client = StartClient(options, recorder);
  client->Open();
  RunUntil([&] { return recorder.opened == 1; });
  const std::string text = Pattern(1'000'000);
  EXPECT_TRUE(PutNow(*client, "/v1/x", text).has_value());
  EXPECT_TRUE(handler.objects["/v1/x"] == text);
  EXPECT_EQ(proxy.tunnels(), 2);
}

TEST_F(ClientTest, AProxyThatWantsAPassword) {
  StartServer();
  TestProxy proxy;
  proxy.DemandAuthorization("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n");
  HttpsClientOptions options = ClientOptions();
  options.proxy = proxy.Url();
  const Error error = OpenWith(options);
  EXPECT_EQ(error.kind(), ErrorKind::kPermissionDenied);
  EXPECT_THAT(error.message(), HasSubstr("wants a user and password"));
  options.proxy = proxy.Url("user:pass@");
  RecordingClient recorder;
  const auto client = StartClient(options, recorder);
  client->Open();
  RunUntil([&] { return recorder.opened == 1; });
}

TEST_F(ClientTest, AProxyThatRefuses) {
  StartServer();
  TestProxy proxy;
  proxy.AnswerWith("403 Forbidden");
  HttpsClientOptions options = ClientOptions();
  options.proxy = proxy.Url();
  const Error error = OpenWith(options);
  EXPECT_EQ(error.kind(), ErrorKind::kUnavailable);
  EXPECT_THAT(error.message(), HasSubstr("the proxy answered 403 Forbidden"));
}

TEST_F(ClientTest, ALineCutInMidUploadIsNoticedAndTheUploadGoesOn) {
  StartServer();
  TestProxy proxy;
  HttpsClientOptions options = ClientOptions();
  options.proxy = proxy.Url();
  options.deadlines.progress = milliseconds(1000);
  RecordingClient recorder;
  const auto client = StartClient(options, recorder);
  const std::string text = Pattern(20'000'000);
  proxy.StallAfter(3'000'000);
  const auto cut = PutNow(*client, "/v1/x", text);
  ASSERT_FALSE(cut.has_value());
  EXPECT_EQ(cut.error().kind(), ErrorKind::kUnavailable);
  EXPECT_THAT(cut.error().message(), HasSubstr("no byte moves"));
  proxy.Resume();
  proxy.Cut();  // the server's end of the stalled line
  RunUntil([&] { return handler.cut_puts == 1; });
  const std::uint64_t offset = handler.sinks["/v1/x"]->offset();
  EXPECT_GT(offset, 0u);
  EXPECT_LT(offset, 3'000'000u);
  const auto rest = PutNow(*client, "/v1/x", text, offset);
  ASSERT_TRUE(rest.has_value()) << rest.error().message();
  EXPECT_TRUE(handler.objects["/v1/x"] == text);
}

TEST_F(ClientTest, ALineCutInMidDownloadLeavesTheBytesInTheSink) {
  StartServer();
  TestProxy proxy;
  HttpsClientOptions options = ClientOptions();
  options.proxy = proxy.Url();
  options.deadlines.progress = milliseconds(1000);
  RecordingClient recorder;
  const auto client = StartClient(options, recorder);
  handler.objects["/v1/x"] = Pattern(20'000'000);
  const auto sink = std::make_shared<TextSink>(kObjectBytesMax);
  proxy.StallAfter(3'000'000);
  const auto cut = GetNow(*client, "/v1/x", sink);
  ASSERT_FALSE(cut.has_value());
  EXPECT_EQ(cut.error().kind(), ErrorKind::kUnavailable);
  EXPECT_GT(sink->offset(), 0u);
  proxy.Resume();
  const auto rest = GetNow(*client, "/v1/x", sink);
  ASSERT_TRUE(rest.has_value()) << rest.error().message();
  EXPECT_GT(handler.requests.back().offset, 0u);
  EXPECT_TRUE(sink->text() == handler.objects["/v1/x"]);
}

TEST_F(ClientTest, AKeptConnectionThatTheServerHasClosedCostsNoTransfer) {
  HttpsServerOptions options = ServerOptions();
  StartServer(options);
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  handler.objects["/v1/x"] = "hello";
  EXPECT_TRUE(GetNow(*client, "/v1/x", std::make_shared<TextSink>(10)).has_value());
  options.listen = "127.0.0.1:" + std::to_string(server->port());
  server.reset();
  StartServer(options);
  // Whether the client has seen the end of its connection by now or not.
  EXPECT_TRUE(GetNow(*client, "/v1/x", std::make_shared<TextSink>(10)).has_value());
  EXPECT_TRUE(PutNow(*client, "/v1/y", "hello").has_value());
}

TEST_F(ClientTest, AnIdleConnectionIsLetGo) {
  StartServer();
  HttpsClientOptions options = ClientOptions();
  options.deadlines.reuse = milliseconds(40);
  RecordingClient recorder;
  const auto client = StartClient(options, recorder);
  EXPECT_TRUE(PutNow(*client, "/v1/x", "hello").has_value());
  PollUntil([&] { return server->Metrics().connections == 0; });
}

TEST_F(ClientTest, NoMoreTransfersAtATimeThanAllowed) {
  StartServer();
  HttpsClientOptions options = ClientOptions();
  options.transfers_max = 2;
  RecordingClient recorder;
  const auto client = StartClient(options, recorder);
  handler.hold_puts = true;
  int done = 0;
  for (int i = 0; i < 5; ++i) {
    client->Put("/v1/" + std::to_string(i), std::make_shared<TextSource>("hello"), 0,
                [&](const Result<Json>& reply) { done += reply.has_value() ? 1 : 100; });
  }
  for (std::size_t i = 0; i < 5; ++i) {
    RunUntil([&] { return handler.held_puts.size() > i; });
    EXPECT_LE(handler.held_puts.size(), i + 2);
    handler.held_puts[i]();
  }
  RunUntil([&] { return done == 5; });
  EXPECT_EQ(client->Metrics().handshakes, 2u);
}

TEST_F(ClientTest, AfterCloseNoTransferTouchesItsSink) {
  StartServer();
  handler.objects["/v1/x"] = Pattern(20'000'000);
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  for (int i = 0; i < 5; ++i) {
    bool answered = false;
    const auto sink = std::make_shared<TextSink>(kObjectBytesMax);
    client->Get("/v1/x", sink, [&](const Result<std::uint64_t>&) { answered = true; });
    PollUntil([&] { return client->Metrics().body_bytes_in > static_cast<std::uint64_t>(i) * 1'000'000; });
    client->Close();
    EXPECT_EQ(sink.use_count(), 1);
    EXPECT_FALSE(answered);
  }
}

TEST_F(ClientTest, WhatCannotBeAskedIsRefusedHere) {
  StartServer();
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  for (const std::string path : {"", "x", "/a b", "/a\r\nx: y", "/\x7f"}) {
    const auto got = GetNow(*client, path, std::make_shared<TextSink>(10));
    ASSERT_FALSE(got.has_value()) << path;
    EXPECT_EQ(got.error().kind(), ErrorKind::kInvalidArgument);
  }
  EXPECT_EQ(PutNow(*client, "/v1/x", "hello", 6).error().kind(), ErrorKind::kInvalidArgument);
  client->SetToken("a\r\nb: c");
  EXPECT_EQ(PutNow(*client, "/v1/x", "hello").error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_TRUE(handler.requests.empty());
}

TEST_F(ClientTest, ASessionWhoseServerDoesNotReadEndsAtTheQueuesBound) {
  HttpsServerOptions server_options = ServerOptions();
  server_options.limits.requests_per_second = 0.001;
  server_options.limits.requests_burst = 2;
  StartServer(server_options);
  HttpsClientOptions options = ClientOptions();
  options.outbox_bytes_max = 100'000;
  RecordingClient recorder;
  const auto client = StartClient(options, recorder);
  client->Open();
  RunUntil([&] { return recorder.opened == 1; });
  const std::string text(50'000, 'a');
  std::function<void()> send = [&] {
    client->Send({{"text", text}});
    if (recorder.closed.empty()) driver.Post(send);
  };
  send();
  RunUntil([&] { return !recorder.closed.empty(); });
  EXPECT_EQ(recorder.closed[0].kind(), ErrorKind::kResourceExhausted);
}

}  // namespace
}  // namespace fed_learn

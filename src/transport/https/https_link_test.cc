// Client and server against each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "transport/https/https_test_fixture.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;
using testing::HttpsTest;
using testing::Pattern;
using testing::RecordingClient;

class HttpsLinkTest : public HttpsTest {};

TEST_F(HttpsLinkTest, ASessionCarriesMessagesBothWaysInOrder) {
  StartServer();
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  client->Open();
  RunUntil([&] { return recorder.opened == 1 && handler.sessions.size() == 1; });
  auto& session = handler.sessions.begin()->second;
  EXPECT_EQ(session.peer.name, "site_1");
  EXPECT_EQ(session.peer.role, PeerRole::kSite);
  EXPECT_THAT(session.peer.address, HasSubstr("127.0.0.1:"));
  for (int i = 0; i < 100; ++i) {
    client->Send({{"number", i}});
    server->Send(handler.order[0], {{"number", i}});
  }
  RunUntil([&] { return session.messages.size() == 100 && recorder.messages.size() == 100; });
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(session.messages[i]["number"], i);
    EXPECT_EQ(recorder.messages[i]["number"], i);
  }
}

TEST_F(HttpsLinkTest, TheServersCloseBringsItsErrorToTheClient) {
  StartServer();
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  client->Open();
  RunUntil([&] { return recorder.opened == 1 && handler.sessions.size() == 1; });
  server->Close(handler.order[0], PermissionDenied("site_1 has been removed"));
  RunUntil([&] { return !recorder.closed.empty() && handler.sessions.begin()->second.closed; });
  EXPECT_EQ(recorder.closed[0], PermissionDenied("site_1 has been removed"));
  EXPECT_EQ(*handler.sessions.begin()->second.closed, PermissionDenied("site_1 has been removed"));
}

TEST_F(HttpsLinkTest, TheClientsCloseEndsTheSessionAtTheServer) {
  StartServer();
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  client->Open();
  RunUntil([&] { return recorder.opened == 1 && handler.sessions.size() == 1; });
  client->Close();
  RunUntil([&] { return handler.sessions.begin()->second.closed.has_value(); });
  EXPECT_EQ(handler.sessions.begin()->second.closed->kind(), ErrorKind::kUnavailable);
  EXPECT_TRUE(recorder.closed.empty());
}

TEST_F(HttpsLinkTest, ObjectsOfAllSizesComeAndGo) {
  StartServer();
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  for (const std::size_t size : {0, 1, 100, 16383, 16384, 16385, 262144, 5'000'000}) {
    const std::string text = Pattern(size);
    const Result<Json> reply = PutNow(*client, "/v1/x", text);
    ASSERT_TRUE(reply.has_value()) << reply.error().message();
    EXPECT_EQ((*reply)["size"], size);
    EXPECT_TRUE(handler.objects["/v1/x"] == text) << size;
    const auto sink = std::make_shared<TextSink>(testing::kObjectBytesMax);
    const Result<std::uint64_t> got = GetNow(*client, "/v1/x", sink);
    ASSERT_TRUE(got.has_value()) << got.error().message();
    EXPECT_EQ(*got, size);
    EXPECT_TRUE(sink->text() == text) << size;
  }
  EXPECT_EQ(client->Metrics().handshakes, 1u);  // one connection carried them all
}

TEST_F(HttpsLinkTest, TheTokenAndThePathAreHandedOverAsTheyAre) {
  StartServer();
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  client->SetToken("secret-7");
  EXPECT_FALSE(GetNow(*client, "/v1/a%20b?x=%2F", std::make_shared<TextSink>(10)).has_value());
  ASSERT_EQ(handler.requests.size(), 1u);
  EXPECT_EQ(handler.requests[0].token, "secret-7");
  EXPECT_EQ(handler.requests[0].path, "/v1/a%20b?x=%2F");
  EXPECT_EQ(handler.requests[0].peer.name, "site_1");
}

TEST_F(HttpsLinkTest, ErrorsKeepTheirKindAndMessage) {
  StartServer();
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  const auto got = GetNow(*client, "/v1/none", std::make_shared<TextSink>(10));
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error(), NotFound("no object /v1/none"));
  handler.refuse_puts = FailedPrecondition("round 3 is over");
  for (const std::size_t size : {0, 10, 3'000'000}) {
    const auto reply = PutNow(*client, "/v1/x", Pattern(size));
    ASSERT_FALSE(reply.has_value());
    EXPECT_EQ(reply.error(), FailedPrecondition("round 3 is over")) << size;
  }
}

TEST_F(HttpsLinkTest, AGetGoesOnWhereTheSinkStands) {
  StartServer();
  const std::string text = Pattern(100'000);
  handler.objects["/v1/x"] = text;
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  for (const std::size_t have : {1, 50'000, 99'999, 100'000}) {
    const auto sink = std::make_shared<TextSink>(testing::kObjectBytesMax);
    ASSERT_TRUE(sink->Expect(text.size()).has_value());
    std::memcpy(sink->Space().data(), text.data(), have);
    sink->Advance(have);
    const auto got = GetNow(*client, "/v1/x", sink);
    ASSERT_TRUE(got.has_value()) << got.error().message();
    EXPECT_EQ(*got, text.size());
    EXPECT_TRUE(sink->text() == text);
    EXPECT_EQ(handler.requests.back().offset, have);
  }
}

TEST_F(HttpsLinkTest, APutGoesOnAtItsOffset) {
  StartServer();
  const std::string text = Pattern(100'000);
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  for (const std::size_t have : {1, 50'000, 99'999, 100'000}) {
    const auto sink = std::make_shared<TextSink>(testing::kObjectBytesMax);
    ASSERT_TRUE(sink->Expect(text.size()).has_value());
    std::memcpy(sink->Space().data(), text.data(), have);
    sink->Advance(have);
    handler.sinks["/v1/x"] = sink;
    handler.objects.clear();
    const auto reply = PutNow(*client, "/v1/x", text, have);
    ASSERT_TRUE(reply.has_value()) << reply.error().message();
    EXPECT_TRUE(handler.objects["/v1/x"] == text);
  }
  const auto wrong = PutNow(*client, "/v1/y", text, 5);
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().kind(), ErrorKind::kFailedPrecondition);
  EXPECT_EQ(handler.cut_puts, 1);  // the sink came back
}

TEST_F(HttpsLinkTest, AnAnswerThatTheDriverDropsIsUnavailable) {
  StartServer();
  RecordingClient recorder;
  const auto client = StartClient(recorder);
  handler.hold_gets = true;
  std::optional<Result<std::uint64_t>> got;
  client->Get("/v1/x", std::make_shared<TextSink>(10), [&](Result<std::uint64_t> result) { got = std::move(result); });
  RunUntil([&] { return !handler.held_gets.empty(); });
  EXPECT_FALSE(got.has_value());
  handler.held_gets.clear();
  RunUntil([&] { return got.has_value(); });
  EXPECT_EQ(got->error().kind(), ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace fed_learn

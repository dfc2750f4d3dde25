// Who is turned away at the door, and with what word.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "transport/https/https_test_fixture.h"
#include "transport/https/raw_client.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;
using testing::HttpsTest;
using testing::RawClient;
using testing::RecordingClient;
using testing::TestCa;

class TlsRefusalTest : public HttpsTest {
 protected:
  // What a peer gets for its request; empty if it is cut off before.
  std::string Ask(const TlsOptions& options, int version = TLS1_3_VERSION) {
    return AndDone(Beside([this, options, version] {
      RawClient client(server->port());
      if (!client.Handshake(options, version)) return std::string();
      client.Write("GET /v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      return client.Read();
    }));
  }

  std::string SendBare(const std::string& bytes) {
    return AndDone(Beside([this, bytes] {
      RawClient client(server->port());
      client.Write(bytes);
      return client.Read();
    }));
  }

  // The peer may hear of its refusal before the server has counted it.
  std::string AndDone(std::string answer) {
    PollUntil([&] { return server->Metrics().connections == 0; });
    return answer;
  }

  Error OpenWith(HttpsClientOptions options) {
    RecordingClient recorder;
    const auto client = StartClient(std::move(options), recorder);
    client->Open();
    RunUntil([&] { return !recorder.closed.empty(); });
    EXPECT_EQ(recorder.opened, 0);
    return recorder.closed.empty() ? Internal("not closed") : recorder.closed[0];
  }
};

TEST_F(TlsRefusalTest, ACertificateOfTheProjectIsWelcome) {
  StartServer();
  handler.objects["/v1/x"] = "hello";
  EXPECT_THAT(Ask(ca.Site("site_1")), HasSubstr("\r\n\r\nhello"));
}

TEST_F(TlsRefusalTest, NoCertificate) {
  StartServer();
  EXPECT_EQ(Ask({}), "");
  EXPECT_EQ(Refused(Refusal::kNoCertificate), 1u);
  EXPECT_TRUE(handler.requests.empty());
}

TEST_F(TlsRefusalTest, ACertificateOfAnotherProject) {
  StartServer();
  TestCa foreign("another project");
  EXPECT_EQ(Ask(foreign.Site("site_1")), "");
  EXPECT_EQ(Refused(Refusal::kForeignCertificate), 1u);
}

TEST_F(TlsRefusalTest, AnotherCaOfTheSameName) {
  StartServer();
  TestCa forged;
  EXPECT_EQ(Ask(forged.Site("site_1")), "");
  EXPECT_EQ(Refused(Refusal::kForeignCertificate), 1u);
}

TEST_F(TlsRefusalTest, AnExpiredCertificate) {
  StartServer();
  EXPECT_EQ(Ask(ca.Sign({.name = "site_1", .valid_from_seconds = -100, .valid_to_seconds = -10})), "");
  EXPECT_EQ(Refused(Refusal::kExpiredCertificate), 1u);
}

TEST_F(TlsRefusalTest, ACertificateOfTomorrow) {
  StartServer();
  EXPECT_EQ(Ask(ca.Sign({.name = "site_1", .valid_from_seconds = 10'000})), "");
  EXPECT_EQ(Refused(Refusal::kExpiredCertificate), 1u);
}

TEST_F(TlsRefusalTest, ARevokedCertificate) {
  const TlsOptions revoked = ca.Site("site_1");
  HttpsServerOptions options = ServerOptions();
  options.tls.crl = ca.Revoke(revoked);
  StartServer(std::move(options));
  EXPECT_EQ(Ask(revoked), "");
  EXPECT_EQ(Refused(Refusal::kRevokedCertificate), 1u);
  EXPECT_THAT(Ask(ca.Site("site_2")), HasSubstr("404"));
}

TEST_F(TlsRefusalTest, AnOlderTls) {
  StartServer();
  EXPECT_EQ(Ask(ca.Site("site_1"), TLS1_2_VERSION), "");
  EXPECT_EQ(Refused(Refusal::kTlsVersion), 1u);
}

TEST_F(TlsRefusalTest, PlainHttp) {
  StartServer();
  EXPECT_THAT(SendBare("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ::testing::Not(HasSubstr("HTTP")));
  EXPECT_EQ(Refused(Refusal::kNotTls), 1u);
}

TEST_F(TlsRefusalTest, Garbage) {
  StartServer();
  SendBare(testing::Pattern(5000));
  EXPECT_EQ(Refused(Refusal::kNotTls), 1u);
}

TEST_F(TlsRefusalTest, ARoleThatIsNotASitesIsToldSo) {
  StartServer();
  for (const std::string role : {"server", "ca", ""}) {
    const std::string answer = Ask(ca.Sign({.name = "localhost", .role = role}));
    EXPECT_THAT(answer, HasSubstr("HTTP/1.1 403 ")) << role;
    EXPECT_THAT(answer, HasSubstr("permission_denied"));
  }
  EXPECT_EQ(Refused(Refusal::kWrongRole), 3u);
  EXPECT_TRUE(handler.requests.empty());
}

TEST_F(TlsRefusalTest, AnAdminIsAnAdmin) {
  StartServer();
  Ask(ca.Sign({.name = "lead", .role = "admin"}));
  ASSERT_EQ(handler.requests.size(), 1u);
  EXPECT_EQ(handler.requests[0].peer.role, PeerRole::kAdmin);
  EXPECT_EQ(handler.requests[0].peer.name, "lead");
}

TEST_F(TlsRefusalTest, TheLogNamesAddressAndReasonOnOneLine) {
  StartServer();
  ::testing::internal::CaptureStderr();
  Ask({});
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("refused 127.0.0.1:"));
  EXPECT_THAT(log, HasSubstr("no client certificate"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1);
}

// What the client's user reads.

TEST_F(TlsRefusalTest, AClientOfAnotherProjectIsTold) {
  StartServer();
  TestCa foreign("another project");
  HttpsClientOptions options = ClientOptions();
  options.tls = foreign.Site("site_1");
  const Error error = OpenWith(options);
  EXPECT_EQ(error.kind(), ErrorKind::kUnauthenticated) << error.message();
  EXPECT_THAT(error.message(), HasSubstr("use a startup kit of this project"));
}

TEST_F(TlsRefusalTest, AClientThatTheServerRefusesIsTold) {
  StartServer();
  TestCa foreign("another project");
  HttpsClientOptions options = ClientOptions();
  options.tls = foreign.Site("site_1");
  options.tls.ca = ca.Pem();
  const Error error = OpenWith(options);
  EXPECT_EQ(error.kind(), ErrorKind::kUnauthenticated) << error.message();
  EXPECT_THAT(error.message(), HasSubstr("takes our certificate for foreign"));
}

TEST_F(TlsRefusalTest, AServerOfAnotherNameIsNotBelieved) {
  StartServer();
  HttpsClientOptions options = ClientOptions();
  options.server_name = "fed.hospital.example";
  const Error error = OpenWith(options);
  EXPECT_EQ(error.kind(), ErrorKind::kUnauthenticated) << error.message();
  EXPECT_THAT(error.message(), HasSubstr("certificate is for 'localhost'"));
}

TEST_F(TlsRefusalTest, ASiteCannotPlayTheServer) {
  HttpsServerOptions options = ServerOptions();
  options.tls = ca.Sign({.name = "localhost", .role = "site", .alternative = "IP:127.0.0.1"});
  StartServer(std::move(options));
  const Error error = OpenWith(ClientOptions());
  EXPECT_EQ(error.kind(), ErrorKind::kPermissionDenied) << error.message();
  EXPECT_THAT(error.message(), HasSubstr("OU 'site'"));
}

TEST_F(TlsRefusalTest, ATransferIsToldToo) {
  StartServer();
  TestCa foreign("another project");
  HttpsClientOptions options = ClientOptions();
  options.tls = foreign.Site("site_1");
  options.tls.ca = ca.Pem();
  RecordingClient recorder;
  const auto client = StartClient(std::move(options), recorder);
  const auto got = GetNow(*client, "/v1/x", std::make_shared<TextSink>(10));
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().kind(), ErrorKind::kUnauthenticated) << got.error().message();
}

}  // namespace
}  // namespace fed_learn

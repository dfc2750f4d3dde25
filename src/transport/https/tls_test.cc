#include "transport/https/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "transport/https/test_certificates.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;
using testing::TestCa;

class TlsTest : public ::testing::Test {
 protected:
  std::string Complaint(const TlsOptions& options) {
    const auto made = TlsContext::Create(TlsSide::kServer, options);
    if (made.has_value()) return "";
    EXPECT_EQ(made.error().kind(), ErrorKind::kInvalidArgument);
    return made.error().message();
  }

  TestCa ca;
};

TEST_F(TlsTest, WhatBelongsTogetherIsTaken) { EXPECT_EQ(Complaint(ca.Server()), ""); }

TEST_F(TlsTest, NothingGiven) {
  EXPECT_THAT(Complaint({}), HasSubstr("no CA certificate is given"));
  TlsOptions options = ca.Server();
  options.certificate = "";
  EXPECT_THAT(Complaint(options), HasSubstr("no certificate is given"));
  options = ca.Server();
  options.key = "";
  EXPECT_THAT(Complaint(options), HasSubstr("no private key is given"));
}

TEST_F(TlsTest, AMissingFileIsNamed) {
  TlsOptions options = ca.Server();
  options.ca = "/nowhere/ca.pem";
  EXPECT_THAT(Complaint(options), HasSubstr("'/nowhere/ca.pem' cannot be read"));
}

TEST_F(TlsTest, FilesAreReadToo) {
  TlsOptions options = ca.Server();
  const std::string path = ::testing::TempDir() + "/tls_test_key.pem";
  std::FILE* file = std::fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  std::fputs(options.key.c_str(), file);
  std::fclose(file);
  options.key = path;
  EXPECT_EQ(Complaint(options), "");
  std::remove(path.c_str());
}

TEST_F(TlsTest, WhatIsNotPemIsRefused) {
  for (const std::string pem : {"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", "-----BEGIN"}) {
    TlsOptions options = ca.Server();
    options.certificate = pem;
    EXPECT_THAT(Complaint(options), HasSubstr("the certificate holds no PEM certificate"));
    options = ca.Server();
    options.key = pem;
    EXPECT_THAT(Complaint(options), HasSubstr("the private key holds no PEM private key"));
    options = ca.Server();
    options.ca = pem;
    EXPECT_THAT(Complaint(options), HasSubstr("the CA certificate holds no PEM certificate"));
    options = ca.Server();
    options.crl = pem;
    EXPECT_THAT(Complaint(options), HasSubstr("the revocation list holds no PEM"));
  }
}

TEST_F(TlsTest, AKeyOfAnotherCertificateIsRefused) {
  TlsOptions options = ca.Server();
  options.key = ca.Server().key;
  EXPECT_THAT(Complaint(options), HasSubstr("does not belong to the certificate"));
}

TEST_F(TlsTest, OurOwnExpiredCertificateIsSeenBeforeAnybodyIsCalled) {
  EXPECT_THAT(Complaint(ca.Sign({.name = "localhost", .role = "server", .valid_to_seconds = -10})),
              HasSubstr("expired on "));
  EXPECT_THAT(Complaint(ca.Sign({.name = "localhost", .role = "server", .valid_from_seconds = 1000})),
              HasSubstr("check this machine's clock"));
}

}  // namespace
}  // namespace fed_learn

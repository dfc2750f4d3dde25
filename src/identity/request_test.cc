#include "identity/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

class RequestTest : public ::testing::TestWithParam<KeyType> {};

INSTANTIATE_TEST_SUITE_P(Types, RequestTest, ::testing::Values(KeyType::kP256, KeyType::kEd25519),
                         [](const auto& info) { return std::string(ToString(info.param)); });

TEST_P(RequestTest, SaysWhoAsksWithWhichKey) {
  const auto key = PrivateKey::Generate(GetParam());
  const auto pem = MakeCertificateRequest(*key, "site_1", "St. Mary's");
  ASSERT_TRUE(pem.has_value()) << pem.error().message();
  const auto request = ParseCertificateRequest(*pem, "site_1.csr");
  ASSERT_TRUE(request.has_value()) << request.error().message();
  EXPECT_EQ(request->name, "site_1");
  EXPECT_EQ(request->org, "St. Mary's");
  EXPECT_EQ(request->key, key->public_key());
}

TEST_P(RequestTest, DoesNotHoldThePrivateKey) {
  const auto key = PrivateKey::Generate(GetParam());
  const auto pem = MakeCertificateRequest(*key, "site_1", "");
  ASSERT_TRUE(pem.has_value());
  EXPECT_EQ(pem->find("PRIVATE"), std::string::npos);
  EXPECT_EQ(ParseCertificateRequest(*pem, "site_1.csr")->org, "");
}

TEST_P(RequestTest, AChangedOneIsRefused) {
  const auto key = PrivateKey::Generate(GetParam());
  std::string pem = *MakeCertificateRequest(*key, "site_1", "");
  int refused = 0;
  for (std::size_t at = pem.find('\n') + 1; at < pem.find("-----END"); at += 7) {
    std::string changed = pem;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    refused += !ParseCertificateRequest(changed, "site_1.csr").has_value();
    EXPECT_FALSE(ParseCertificateRequest(changed, "site_1.csr").has_value() && changed != pem) << at;
  }
  EXPECT_GT(refused, 10);
}

TEST(CertificateRequestTest, NamesThatNoSiteCanHaveAreRefused) {
  const auto key = PrivateKey::Generate(KeyType::kP256);
  for (const char* name : {"", "server", "../x"})
    EXPECT_FALSE(MakeCertificateRequest(*key, name, "").has_value()) << name;
  EXPECT_FALSE(MakeCertificateRequest(*key, "a", std::string(65, 'o')).has_value());
}

TEST(CertificateRequestTest, WhatIsNoRequestIsRefusedByItsFile) {
  for (const char* pem : {"", "text", "-----BEGIN CERTIFICATE REQUEST-----\n"}) {
    const auto request = ParseCertificateRequest(pem, "a.csr");
    ASSERT_FALSE(request.has_value());
    EXPECT_THAT(request.error().message(), HasSubstr("a.csr: not a certificate request"));
  }
}

// Made once with `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=../evil`.
TEST(CertificateRequestTest, AnotherToolsRequestForAPathIsRefused) {
  const auto request = ParseCertificateRequest(R"(-----BEGIN CERTIFICATE REQUEST-----
MIHMMHQCAQAwEjEQMA4GA1UEAwwHLi4vZXZpbDBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABKoaLFcgQQCTtxf1tcNRytVtfGIWZosAo9rKOljnaxvfYFzHT3fJ8GgJ
kZtU5I0vHsgUpbO2Ik/E5fDEtzCTdtagADAKBggqhkjOPQQDAgNIADBFAiEA2xD4
83359zfpvG3TBCZ/2bn9DT0Iw+gSLLK5gAfj69gCIBxgLcwk/KAYMPAAYj7fxuOq
Pdp8DhKD8SWmfYjAgI8f
-----END CERTIFICATE REQUEST-----
)",
                                               "a.csr");
  ASSERT_FALSE(request.has_value());
  EXPECT_THAT(request.error().message(), HasSubstr("a.csr: '../evil' cannot be a name"));
}

}  // namespace
}  // namespace fed_learn

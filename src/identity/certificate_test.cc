#include "identity/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/chain.h"
#include "identity/testing.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

constexpr WallTime kNow{std::chrono::hours(24 * 365 * 56)};
constexpr std::chrono::hours kDay{24};

class CertificateTest : public ::testing::TestWithParam<KeyType> {
 protected:
  CertificateTest() {
    auto pki = MakeTestPki({.key_type = GetParam(), .now = kNow});
    EXPECT_TRUE(pki.has_value()) << pki.error().message();
    pki_ = *std::move(pki);
  }

  static Certificate Parse(const std::string& pem) {
    auto certificate = Certificate::FromPem(pem, "test.crt");
    EXPECT_TRUE(certificate.has_value()) << certificate.error().message();
    return *std::move(certificate);
  }

  Status Verify(const TestParty& party, WallTime now = kNow, const RevocationList* list = nullptr) const {
    return VerifyCertificate(Parse(party.certificate_pem), Parse(pki_.root_pem), list, now);
  }

  TestPki pki_;
};

INSTANTIATE_TEST_SUITE_P(Types, CertificateTest, ::testing::Values(KeyType::kP256, KeyType::kEd25519),
                         [](const auto& info) { return std::string(ToString(info.param)); });

TEST_P(CertificateTest, TheSubjectSaysWhoOfWhatProject) {
  EXPECT_EQ(Parse(pki_.root_pem).subject(), (Subject{"test", PartyRole::kRoot, "root"}));
  EXPECT_EQ(Parse(pki_.server.certificate_pem).subject(), (Subject{"test", PartyRole::kServer, "server"}));
  EXPECT_EQ(Parse(pki_.sites[1].certificate_pem).subject(), (Subject{"test", PartyRole::kSite, "site_2"}));
  EXPECT_EQ(Parse(pki_.admin.certificate_pem).subject(), (Subject{"test", PartyRole::kAdmin, "admin@example.org"}));
}

TEST_P(CertificateTest, WhoTheRootSignedCounts) {
  for (const TestParty& party : {pki_.server, pki_.sites[0], pki_.sites[1], pki_.admin}) {
    const Status status = Verify(party);
    EXPECT_TRUE(status.has_value()) << status.error().message();
  }
}

TEST_P(CertificateTest, ItsTimeBeginsADayEarlyAndEnds) {
  const Certificate certificate = Parse(pki_.sites[0].certificate_pem);
  EXPECT_EQ(certificate.not_before(), kNow - kDay);
  EXPECT_EQ(certificate.not_after(), kNow + 365 * kDay);
  EXPECT_TRUE(Verify(pki_.sites[0], kNow - kDay).has_value());
  EXPECT_TRUE(Verify(pki_.sites[0], kNow + 364 * kDay).has_value());
}

TEST_P(CertificateTest, AnExpiredOneIsNamedWithItsEnd) {
  const Status status = Verify(pki_.sites[0], kNow + 366 * kDay);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind(), ErrorKind::kUnauthenticated);
  EXPECT_THAT(status.error().message(), HasSubstr("site 'site_1' of project 'test' expired on 2026-12-18T00:00:00Z"));
  EXPECT_THAT(status.error().message(), HasSubstr("--renew site_1"));
  EXPECT_FALSE(Verify(pki_.expired).has_value());
}

TEST_P(CertificateTest, AnExpiredRootIsToldFromAnExpiredSite) {
  EXPECT_EQ(Parse(pki_.root_pem).not_after(), kNow + 3650 * kDay);
  const Status status = Verify(pki_.sites[0], kNow + 3651 * kDay);
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message(), HasSubstr("the root certificate of project 'test' expired on"));
}

TEST_P(CertificateTest, AClockThatIsBehindIsToldToBeSet) {
  const Status status = Verify(pki_.sites[0], kNow - 2 * kDay);
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message(), HasSubstr("set the clock"));
}

TEST_P(CertificateTest, TheSameNamesByAnotherRootDoNotCount) {
  const Status status = Verify(pki_.stranger);
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message(), HasSubstr("not signed by this project's root"));
}

TEST_P(CertificateTest, ARootIsNobodysCertificate) {
  const Certificate root = Parse(pki_.root_pem);
  EXPECT_FALSE(VerifyCertificate(root, root, nullptr, kNow).has_value());
}

TEST_P(CertificateTest, ASiteCannotIssue) {
  const Certificate site = Parse(pki_.sites[0].certificate_pem);
  const auto key = PrivateKey::FromPem(pki_.sites[0].key_pem, "site_1.key");
  ASSERT_TRUE(key.has_value());
  const auto forged =
      IssueCertificate({*key, site}, key->public_key(), {.subject = {"test", PartyRole::kAdmin, "x"}, .now = kNow});
  ASSERT_TRUE(forged.has_value()) << forged.error().message();
  EXPECT_FALSE(VerifyCertificate(*forged, Parse(pki_.root_pem), nullptr, kNow).has_value());
  EXPECT_FALSE(VerifyCertificate(*forged, site, nullptr, kNow).has_value());
}

TEST_P(CertificateTest, ARevokedOneDoesNotCountAndOthersDo) {
  const auto list = RevocationList::FromPem(pki_.revocation_pem, Parse(pki_.root_pem), "crl.pem");
  ASSERT_TRUE(list.has_value()) << list.error().message();
  EXPECT_TRUE(Verify(pki_.sites[0], kNow, &*list).has_value());
  EXPECT_TRUE(Verify(pki_.revoked).has_value());
  const Status status = Verify(pki_.revoked, kNow, &*list);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind(), ErrorKind::kUnauthenticated);
  EXPECT_THAT(status.error().message(), HasSubstr("site 'revoked' of project 'test' is revoked"));
}

TEST_P(CertificateTest, NobodyOutlivesTheRoot) {
  const auto authority = MakeAuthority({.project = "p", .key_type = GetParam(), .now = kNow, .days = 10});
  ASSERT_TRUE(authority.has_value());
  const auto leaf = IssueCertificate(*authority, authority->key.public_key(),
                                     {.subject = {"p", PartyRole::kSite, "a"}, .now = kNow, .days = 365});
  ASSERT_TRUE(leaf.has_value());
  EXPECT_EQ(leaf->not_after(), kNow + 10 * kDay);
  const Status late = VerifyCertificate(*leaf, authority->certificate, nullptr, kNow + 11 * kDay);
  EXPECT_FALSE(late.has_value());
}

TEST_P(CertificateTest, SerialNumbersDiffer) {
  EXPECT_NE(Parse(pki_.sites[0].certificate_pem).serial(), Parse(pki_.sites[1].certificate_pem).serial());
  EXPECT_EQ(Parse(pki_.sites[0].certificate_pem).serial().size(), 32u);
}

TEST_P(CertificateTest, AListOfAnotherRootIsRefused) {
  const auto foreign = MakeAuthority({.project = "test", .key_type = GetParam(), .now = kNow});
  const auto list = RevocationList::FromPem(pki_.revocation_pem, foreign->certificate, "crl.pem");
  ASSERT_FALSE(list.has_value());
  EXPECT_EQ(list.error().kind(), ErrorKind::kUnauthenticated);
  EXPECT_THAT(list.error().message(), HasSubstr("crl.pem: the root of project 'test' has not signed"));
}

TEST_P(CertificateTest, AnEmptyListRevokesNobody) {
  const auto authority = MakeAuthority({.project = "p", .key_type = GetParam(), .now = kNow});
  const auto list = RevocationList::Make(*authority, {}, kNow, 1);
  ASSERT_TRUE(list.has_value()) << list.error().message();
  EXPECT_FALSE(list->Contains(authority->certificate));
}

TEST(CertificateFromPemTest, WhatIsNoCertificateIsRefusedByItsFile) {
  for (const char* pem : {"", "text", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}) {
    const auto certificate = Certificate::FromPem(pem, "startup/client.crt");
    ASSERT_FALSE(certificate.has_value());
    EXPECT_THAT(certificate.error().message(), HasSubstr("startup/client.crt: not a certificate"));
  }
  const auto foreign = MakeAuthority({.project = "p", .now = kNow});
  EXPECT_FALSE(RevocationList::FromPem("", foreign->certificate, "crl.pem").has_value());
}

TEST(RoleTest, NamesAreReadBack) {
  for (const PartyRole role : {PartyRole::kRoot, PartyRole::kServer, PartyRole::kSite, PartyRole::kAdmin}) {
    EXPECT_EQ(*PartyRoleFromString(ToString(role)), role);
  }
  EXPECT_FALSE(PartyRoleFromString("").has_value());
  EXPECT_FALSE(PartyRoleFromString("Site").has_value());
}

TEST(UtcTextTest, IsRfc3339) {
  EXPECT_EQ(ToUtcText(WallTime{}), "1970-01-01T00:00:00Z");
  EXPECT_EQ(ToUtcText(WallTime(std::chrono::seconds(951782400))), "2000-02-29T00:00:00Z");
}

}  // namespace
}  // namespace fed_learn

#include "identity/key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "base/posix_disk.h"
#include "identity/openssl.h"
#include "identity/signature.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

class KeyTest : public ::testing::TestWithParam<KeyType> {
 protected:
  KeyTest() : folder_(::testing::TempDir() + "key_test_XXXXXX") {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    disk_ = std::make_unique<PosixDisk>(folder_);
  }
  ~KeyTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  std::unique_ptr<PosixDisk> disk_;
};

INSTANTIATE_TEST_SUITE_P(Types, KeyTest, ::testing::Values(KeyType::kP256, KeyType::kEd25519),
                         [](const auto& info) { return std::string(ToString(info.param)); });

TEST_P(KeyTest, WhatIsSavedIsLoaded) {
  const auto key = PrivateKey::Generate(GetParam());
  ASSERT_TRUE(key.has_value()) << key.error().message();
  ASSERT_TRUE(key->Save(*disk_, "client.key").has_value());
  const auto loaded = PrivateKey::Load(*disk_, "client.key");
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
  EXPECT_EQ(loaded->public_key(), key->public_key());
  EXPECT_EQ(loaded->public_key().type(), GetParam());
  EXPECT_EQ(loaded->public_key().Fingerprint(), key->public_key().Fingerprint());
  EXPECT_EQ(key->public_key().Fingerprint().size(), 64u);
}

TEST_P(KeyTest, TwoKeysAreNotEqual) {
  const auto a = PrivateKey::Generate(GetParam());
  const auto b = PrivateKey::Generate(GetParam());
  ASSERT_TRUE(a.has_value() && b.has_value());
  EXPECT_FALSE(a->public_key() == b->public_key());
  EXPECT_NE(a->public_key().Fingerprint(), b->public_key().Fingerprint());
}

TEST_P(KeyTest, OthersCannotReadASavedKey) {
  ASSERT_TRUE(PrivateKey::Generate(GetParam())->Save(*disk_, "client.key").has_value());
  struct stat status {};
  ASSERT_EQ(::stat((folder_ + "/client.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

TEST_P(KeyTest, AKeyThatOthersCanReadIsRefused) {
  ASSERT_TRUE(PrivateKey::Generate(GetParam())->Save(*disk_, "client.key").has_value());
  for (const unsigned mode : {0640u, 0604u, 0660u, 0602u}) {
    ASSERT_EQ(::chmod((folder_ + "/client.key").c_str(), mode), 0);
    const auto loaded = PrivateKey::Load(*disk_, "client.key");
    ASSERT_FALSE(loaded.has_value()) << mode;
    EXPECT_EQ(loaded.error().kind(), ErrorKind::kPermissionDenied);
    EXPECT_THAT(loaded.error().message(), HasSubstr("chmod 600"));
  }
}

TEST_P(KeyTest, AKeyIsNeverOverwritten) {
  const auto key = PrivateKey::Generate(GetParam());
  ASSERT_TRUE(key->Save(*disk_, "client.key").has_value());
  const Status again = PrivateKey::Generate(GetParam())->Save(*disk_, "client.key");
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().kind(), ErrorKind::kAlreadyExists);
  EXPECT_EQ(PrivateKey::Load(*disk_, "client.key")->public_key(), key->public_key());
}

TEST_P(KeyTest, ASignatureIsOfOneKeyOverTheseBytes) {
  const auto key = PrivateKey::Generate(GetParam());
  const auto other = PrivateKey::Generate(GetParam());
  for (const std::string& bytes : {std::string(), std::string("x"), std::string(100'000, 'y')}) {
    const auto signature = Sign(*key, bytes);
    ASSERT_TRUE(signature.has_value()) << signature.error().message();
    EXPECT_TRUE(VerifySignature(key->public_key(), bytes, *signature).has_value());
    EXPECT_FALSE(VerifySignature(key->public_key(), bytes + " ", *signature).has_value());
    EXPECT_FALSE(VerifySignature(other->public_key(), bytes, *signature).has_value());
    EXPECT_FALSE(VerifySignature(key->public_key(), bytes, "").has_value());
    std::string changed = *signature;
    changed.back() = static_cast<char>(changed.back() ^ 1);
    EXPECT_FALSE(VerifySignature(key->public_key(), bytes, changed).has_value());
    EXPECT_EQ(VerifySignature(key->public_key(), bytes, changed).error().kind(), ErrorKind::kDataLoss);
  }
}

TEST(PrivateKeyTest, WhatIsNoKeyIsRefusedByItsFile) {
  for (const char* pem : {"", "-----BEGIN PRIVATE KEY-----\n", "no key"}) {
    const auto key = PrivateKey::FromPem(pem, "site_1/client.key");
    ASSERT_FALSE(key.has_value());
    EXPECT_THAT(key.error().message(), HasSubstr("site_1/client.key: not a private key"));
  }
}

// A key that PrivateKey would not make, as PEM; encrypted if there is a pass phrase.
std::string OtherKey(const char* curve, const char* pass_phrase) {
  const std::shared_ptr<EVP_PKEY> key(EVP_EC_gen(curve), EVP_PKEY_free);
  const BioPtr bio(BIO_new(BIO_s_mem()));
  const EVP_CIPHER* cipher = pass_phrase == nullptr ? nullptr : EVP_aes_256_cbc();
  EXPECT_EQ(
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), cipher, nullptr, 0, nullptr, const_cast<char*>(pass_phrase)),
      1);
  return Written(bio.get());
}

TEST(PrivateKeyTest, AnotherCurveIsRefused) {
  const auto key = PrivateKey::FromPem(OtherKey("P-384", nullptr), "k.pem");
  ASSERT_FALSE(key.has_value());
  EXPECT_THAT(key.error().message(), HasSubstr("k.pem: the key is neither P-256 nor Ed25519"));
}

TEST(PrivateKeyTest, AnEncryptedKeyIsRefusedWithoutAskingForItsPassPhrase) {
  const auto key = PrivateKey::FromPem(OtherKey("P-256", "pass"), "k.pem");
  ASSERT_FALSE(key.has_value());
  EXPECT_THAT(key.error().message(), HasSubstr("k.pem: not a private key in PEM without a pass phrase"));
}

TEST(KeyTypeTest, NamesAreReadBack) {
  for (const KeyType type : {KeyType::kP256, KeyType::kEd25519}) EXPECT_EQ(*KeyTypeFromString(ToString(type)), type);
  EXPECT_FALSE(KeyTypeFromString("rsa").has_value());
}

}  // namespace
}  // namespace fed_learn

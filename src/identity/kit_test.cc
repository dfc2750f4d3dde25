#include "identity/kit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "base/posix_disk.h"
#include "identity/manifest.h"
#include "identity/revocation.h"
#include "identity/signature.h"

namespace fed_learn {
namespace {

using ::testing::HasSubstr;

constexpr WallTime kNow{std::chrono::hours(24 * 365 * 56)};
constexpr std::chrono::hours kDay{24};

// One kit in a folder, which tests spoil.
class KitTest : public ::testing::Test {
 protected:
  KitTest() : folder_(::testing::TempDir() + "kit_test_XXXXXX"), authority_(NewAuthority("liver")) {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    disk_ = std::make_unique<PosixDisk>(folder_);
    EXPECT_TRUE(disk_->MakeFolders("kit/startup").has_value());
  }
  ~KitTest() override { std::filesystem::remove_all(folder_); }

  static Authority NewAuthority(std::string project) {
    auto authority = MakeAuthority({.project = std::move(project), .now = kNow});
    EXPECT_TRUE(authority.has_value()) << authority.error().message();
    return *std::move(authority);
  }

  void Write(std::string_view name, std::string_view text) {
    ASSERT_TRUE(WriteFileAtomically(*disk_, "kit/startup/" + std::string(name), text).has_value());
  }
  void Remove(std::string_view name) { ASSERT_TRUE(disk_->Remove("kit/startup/" + std::string(name)).has_value()); }
  std::string Read(std::string_view name) { return *ReadFile(*disk_, "kit/startup/" + std::string(name), 1 << 20); }

  // Lists what is there of `listed` and signs.
  void SignManifest(KitManifest manifest, const std::vector<std::string>& listed) {
    for (const std::string& name : listed) manifest.files[name] = Sha256Hex(Read(name));
    const std::string text = ToJsonText(manifest);
    Write(kManifestFile, text);
    Write(kSignatureFile, *Sign(authority_.key, text));
  }

  void MakeKit(PartyRole role, std::string name, bool with_key = true) {
    const auto key = PrivateKey::Generate(KeyType::kP256);
    const Subject subject{"liver", role, std::move(name)};
    const auto certificate = IssueCertificate(authority_, key->public_key(), {.subject = subject, .now = kNow});
    ASSERT_TRUE(certificate.has_value()) << certificate.error().message();
    Write(kRootFile, authority_.certificate.pem());
    Write(CertificateFile(role), certificate->pem());
    Write(ConfigFile(role), R"({"servers": [{"name": "liver"}]})");
    if (with_key) {
      ASSERT_TRUE(key->Save(*disk_, "kit/startup/" + std::string(KeyFile(role))).has_value());
    }
    if (role == PartyRole::kServer) Write(kRevocationFile, RevocationList::Make(authority_, {}, kNow, 1)->pem());
    SignManifest({.subject = subject, .org = "St. Mary", .key_made_at_site = !with_key, .created = "now", .files = {}},
                 {std::string(kRootFile), std::string(CertificateFile(role)), std::string(ConfigFile(role))});
  }

  Result<Kit> Load(PartyRole role = PartyRole::kSite, WallTime now = kNow) {
    return LoadKit(*disk_, "kit", {.role = role, .now = now});
  }

  void ExpectRefused(ErrorKind kind, std::string_view message, PartyRole role = PartyRole::kSite, WallTime now = kNow) {
    const auto kit = Load(role, now);
    ASSERT_FALSE(kit.has_value());
    EXPECT_EQ(kit.error().kind(), kind) << kit.error().message();
    EXPECT_THAT(kit.error().message(), HasSubstr(message));
    EXPECT_EQ(kit.error().message().find('\n'), std::string::npos);
  }

  std::string folder_;
  std::unique_ptr<PosixDisk> disk_;
  Authority authority_;
};

TEST_F(KitTest, AWholeKitIsLoadedForEachRole) {
  for (const auto& [role, name] :
       {std::pair(PartyRole::kServer, "server"), {PartyRole::kSite, "site_1"}, {PartyRole::kAdmin, "a@b.c"}}) {
    std::filesystem::remove_all(folder_ + "/kit");
    ASSERT_TRUE(disk_->MakeFolders("kit/startup").has_value());
    MakeKit(role, name);
    const auto kit = Load(role);
    ASSERT_TRUE(kit.has_value()) << kit.error().message();
    EXPECT_EQ(kit->subject, (Subject{"liver", role, name}));
    EXPECT_EQ(kit->org, "St. Mary");
    EXPECT_EQ(kit->config["servers"][0]["name"], "liver");
    EXPECT_EQ(kit->key.public_key(), kit->certificate.public_key());
    for (const std::string& path : {kit->root_path, kit->certificate_path, kit->key_path}) {
      EXPECT_TRUE(*disk_->Exists(path)) << path;
    }
    EXPECT_EQ(kit->revocation_path.empty(), role != PartyRole::kServer);
    EXPECT_EQ(kit->revocation_pem.empty(), role != PartyRole::kServer);
  }
}

TEST_F(KitTest, AFolderThatIsNoKitIsCalledThat) {
  ExpectRefused(ErrorKind::kNotFound, "kit/startup/manifest.json is missing; give the folder of a startup kit");
}

TEST_F(KitTest, EachFileThatIsChangedIsNamed) {
  MakeKit(PartyRole::kSite, "site_1");
  for (const std::string_view name : {ConfigFile(PartyRole::kSite), CertificateFile(PartyRole::kSite)}) {
    const std::string before = Read(name);
    Write(name, before + " ");
    ExpectRefused(ErrorKind::kDataLoss, "kit/startup/" + std::string(name) + " was changed");
    Write(name, before);
  }
  EXPECT_TRUE(Load().has_value());
}

TEST_F(KitTest, EachFileThatIsMissingIsNamed) {
  MakeKit(PartyRole::kSite, "site_1");
  for (const std::string_view name :
       {kRootFile, kSignatureFile, ConfigFile(PartyRole::kSite), CertificateFile(PartyRole::kSite)}) {
    const std::string before = Read(name);
    Remove(name);
    ExpectRefused(ErrorKind::kNotFound, "kit/startup/" + std::string(name) + " is missing");
    Write(name, before);
  }
  Remove("client.key");
  ExpectRefused(ErrorKind::kNotFound, "kit/startup/client.key is missing; unpack the kit again");
}

TEST_F(KitTest, AChangedManifestOrSignatureIsRefused) {
  MakeKit(PartyRole::kSite, "site_1");
  for (const std::string_view name : {kManifestFile, kSignatureFile}) {
    const std::string before = Read(name);
    for (const std::string& changed : {before + " ", before.substr(1), std::string()}) {
      Write(name, changed);
      ExpectRefused(ErrorKind::kDataLoss, "manifest.json is not what rootCA.pem signed");
    }
    Write(name, before);
  }
}

TEST_F(KitTest, AForeignRootIsRefused) {
  MakeKit(PartyRole::kSite, "site_1");
  Write(kRootFile, NewAuthority("liver").certificate.pem());
  ExpectRefused(ErrorKind::kDataLoss, "manifest.json is not what rootCA.pem signed");
}

TEST_F(KitTest, ASitesCertificateIsNoRoot) {
  MakeKit(PartyRole::kSite, "site_1");
  Write(kRootFile, Read("client.crt"));
  EXPECT_FALSE(Load().has_value());
}

TEST_F(KitTest, AManifestThatListsTooLittleIsRefused) {
  MakeKit(PartyRole::kSite, "site_1");
  SignManifest({.subject = {"liver", PartyRole::kSite, "site_1"}, .org = {}, .created = {}, .files = {}},
               {"rootCA.pem", "client.crt"});
  ExpectRefused(ErrorKind::kDataLoss, "kit/startup/manifest.json does not list fed_client.json");
}

TEST_F(KitTest, AListedPathOutsideTheKitIsRefused) {
  MakeKit(PartyRole::kSite, "site_1");
  SignManifest({.subject = {"liver", PartyRole::kSite, "site_1"}, .org = {}, .created = {}, .files = {{"../../x", ""}}},
               {});
  ExpectRefused(ErrorKind::kInvalidArgument, "'../../x' in 'files' is not a plain file name");
}

TEST_F(KitTest, ACertificateOfSomebodyElseIsRefused) {
  MakeKit(PartyRole::kSite, "site_1");
  SignManifest({.subject = {"liver", PartyRole::kSite, "site_2"}, .org = {}, .created = {}, .files = {}},
               {"rootCA.pem", "client.crt", "fed_client.json"});
  ExpectRefused(ErrorKind::kDataLoss,
                "client.crt is of site 'site_1' of project 'liver', and the kit is of site 'site_2'");
}

TEST_F(KitTest, AnotherRolesKitIsRefused) {
  MakeKit(PartyRole::kSite, "site_1");
  ExpectRefused(ErrorKind::kInvalidArgument,
                "is of site 'site_1' of project 'liver', and this needs the kit of a server", PartyRole::kServer);
  ExpectRefused(ErrorKind::kInvalidArgument, "this needs the kit of an admin", PartyRole::kAdmin);
}

TEST_F(KitTest, AnExpiredCertificateIsRefusedByItsFile) {
  MakeKit(PartyRole::kSite, "site_1");
  EXPECT_TRUE(Load(PartyRole::kSite, kNow + 364 * kDay).has_value());
  ExpectRefused(ErrorKind::kUnauthenticated, "kit/startup/client.crt: the certificate of site 'site_1'",
                PartyRole::kSite, kNow + 366 * kDay);
  ExpectRefused(ErrorKind::kUnauthenticated, "set the clock", PartyRole::kSite, kNow - 2 * kDay);
}

TEST_F(KitTest, AKeyThatOthersCanReadIsRefused) {
  MakeKit(PartyRole::kSite, "site_1");
  ASSERT_EQ(::chmod((folder_ + "/kit/startup/client.key").c_str(), 0644), 0);
  ExpectRefused(ErrorKind::kPermissionDenied, "/kit/startup/client.key");
  ExpectRefused(ErrorKind::kPermissionDenied, "chmod 600");
}

TEST_F(KitTest, AnotherKeyIsRefused) {
  MakeKit(PartyRole::kSite, "site_1");
  Remove("client.key");
  ASSERT_TRUE(PrivateKey::Generate(KeyType::kEd25519)->Save(*disk_, "kit/startup/client.key").has_value());
  ExpectRefused(ErrorKind::kDataLoss, "kit/startup/client.key is not the key of client.crt");
}

TEST_F(KitTest, AKitForAKeyMadeAtTheSiteSaysWhereItBelongs) {
  MakeKit(PartyRole::kSite, "site_1", /*with_key=*/false);
  ExpectRefused(ErrorKind::kNotFound, "in which `fedlearn client enroll` made the key: unpack it over that one");
}

TEST_F(KitTest, AServerWhoseCertificateIsRevokedDoesNotStart) {
  MakeKit(PartyRole::kServer, "server");
  const auto certificate = Certificate::FromPem(Read("server.crt"), "server.crt");
  const std::vector<Revocation> revocations = {{certificate->serial(), kNow}};
  Write(kRevocationFile, RevocationList::Make(authority_, revocations, kNow, 2)->pem());
  ExpectRefused(ErrorKind::kUnauthenticated, "is revoked", PartyRole::kServer);
}

TEST_F(KitTest, AServerNeedsItsRevocationList) {
  MakeKit(PartyRole::kServer, "server");
  const std::string before = Read(kRevocationFile);
  Write(kRevocationFile, "x");
  ExpectRefused(ErrorKind::kInvalidArgument, "kit/startup/crl.pem: not a revocation list", PartyRole::kServer);
  Write(kRevocationFile, RevocationList::Make(NewAuthority("liver"), {}, kNow, 1)->pem());
  ExpectRefused(ErrorKind::kUnauthenticated, "kit/startup/crl.pem: the root", PartyRole::kServer);
  Remove(kRevocationFile);
  ExpectRefused(ErrorKind::kNotFound, "kit/startup/crl.pem is missing", PartyRole::kServer);
  Write(kRevocationFile, before);
  EXPECT_TRUE(Load(PartyRole::kServer).has_value());
}

TEST_F(KitTest, AFileThatIsNotListedIsNotRead) {
  MakeKit(PartyRole::kSite, "site_1");
  Write("fed_admin.json", "{");
  Write("crl.pem", "x");
  EXPECT_TRUE(Load().has_value());
}

TEST(KitManifestTest, IsReadBack) {
  const KitManifest manifest{.subject = {"p", PartyRole::kAdmin, "a@b.c"},
                             .org = "O\"rg",
                             .key_made_at_site = true,
                             .created = "2026-01-01T00:00:00Z",
                             .files = {{"a", "00"}, {"b.pem", "11"}}};
  const auto parsed = ParseKitManifest(ToJsonText(manifest), "manifest.json");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message();
  EXPECT_EQ(parsed->subject, manifest.subject);
  EXPECT_EQ(parsed->org, manifest.org);
  EXPECT_EQ(parsed->key_made_at_site, manifest.key_made_at_site);
  EXPECT_EQ(parsed->created, manifest.created);
  EXPECT_EQ(parsed->files, manifest.files);
}

TEST(KitManifestTest, AMalformedOneIsRefusedByItsKey) {
  const Json whole =
      Json::parse(ToJsonText({.subject = {"p", PartyRole::kSite, "s"}, .org = {}, .created = {}, .files = {}}));
  for (const auto& [key, value] : whole.items()) {
    for (const bool erase : {true, false}) {
      Json spoilt = whole;
      if (erase) {
        spoilt.erase(key);
      } else {
        spoilt[key] = Json::array({1});
      }
      const auto parsed = ParseKitManifest(spoilt.dump(), "manifest.json");
      ASSERT_FALSE(parsed.has_value()) << key;
      EXPECT_THAT(parsed.error().message(), HasSubstr("manifest.json: '" + key + "'"));
    }
  }
  for (const char* text : {"", "[]", "null", "{}", R"({"version": 2})"}) {
    EXPECT_FALSE(ParseKitManifest(text, "manifest.json").has_value()) << text;
  }
}

}  // namespace
}  // namespace fed_learn

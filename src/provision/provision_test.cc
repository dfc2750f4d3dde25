#include "provision/provision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/posix_disk.h"
#include "base/simulated_disk.h"
#include "identity/chain.h"
#include "identity/kit.h"
#include "provision/enroll.h"

namespace fed_learn {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using What = PartyOutcome::What;

constexpr WallTime kNow{std::chrono::hours(24 * 365 * 56)};
constexpr std::chrono::hours kDay{24};

Project TwoSites() {
  Project project;
  project.name = "liver";
  project.server = {.host = "fl.example.org",
                    .alt_names = {"localhost", "127.0.0.1"},
                    .port = 9002,
                    .org = "Center",
                    .min_num_clients = 2,
                    .max_num_clients = {}};
  project.sites = {{.name = "site_1", .org = "St. Mary"}, {.name = "site_2", .org = "Clinic"}};
  project.admins = {{.email = "lead@example.org", .org = "Center"}};
  project.source = "project.yml";
  return project;
}

class ProvisionTest : public ::testing::Test {
 protected:
  ProvisionTest() : folder_(::testing::TempDir() + "provision_test_XXXXXX"), project_(TwoSites()) {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    disk_ = std::make_unique<PosixDisk>(folder_);
  }
  ~ProvisionTest() override { std::filesystem::remove_all(folder_); }

  Result<ProvisionReport> Run(ProvisionOptions options = {}) {
    options.out = "out";
    if (options.now == WallTime{}) options.now = kNow;
    return Provision(*disk_, project_, options);
  }

  std::map<std::string, What> Outcomes(ProvisionOptions options = {}) {
    const auto report = Run(std::move(options));
    EXPECT_TRUE(report.has_value()) << report.error().message();
    std::map<std::string, What> outcomes;
    if (!report.has_value()) return outcomes;
    for (const PartyOutcome& party : report->parties) outcomes[party.name] = party.what;
    notes_ = report->notes;
    return outcomes;
  }

  void ExpectRefused(ErrorKind kind, std::string_view message, ProvisionOptions options = {}) {
    const auto report = Run(std::move(options));
    ASSERT_FALSE(report.has_value());
    EXPECT_EQ(report.error().kind(), kind);
    EXPECT_THAT(report.error().message(), HasSubstr(message));
    EXPECT_EQ(report.error().message().find('\n'), std::string::npos);
  }

  Result<Kit> Load(const std::string& name, PartyRole role, WallTime now = kNow) {
    return LoadKit(*disk_, name, {.role = role, .now = now});
  }

  void ExpectLoads(const std::string& name, PartyRole role) {
    const auto kit = Load(name, role);
    EXPECT_TRUE(kit.has_value()) << kit.error().message();
  }

  std::string Read(const std::string& path) {
    auto bytes = ReadFile(*disk_, path, 16 << 20);
    EXPECT_TRUE(bytes.has_value()) << bytes.error().message();
    return bytes.value_or("");
  }

  unsigned ModeOf(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::stat((folder_ + "/" + path).c_str(), &status), 0) << path;
    return status.st_mode & 0777u;
  }

  // Every file but the lock: its bytes and when it was written.
  using Files = std::map<std::string, std::pair<std::string, std::filesystem::file_time_type>>;
  Files Snapshot() {
    Files files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      if (!entry.is_regular_file() || entry.path().filename() == ".lock") continue;
      const std::string path = std::filesystem::relative(entry.path(), folder_);
      files[path] = {Read(path), entry.last_write_time()};
    }
    return files;
  }

  static std::vector<std::string> Changed(const Files& before, const Files& after) {
    std::vector<std::string> changed;
    for (const auto& [path, file] : before) {
      const auto found = after.find(path);
      if (found == after.end() || found->second != file) changed.push_back(path);
    }
    return changed;
  }

  // What `unzip` would do, into `target`.
  void Unzip(const std::string& path, const std::string& target) {
    const std::string bytes = Read(path);
    zip_error_t error;
    zip_error_init(&error);
    zip_t* archive = zip_open_from_source(zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error), 0, &error);
    ASSERT_NE(archive, nullptr);
    for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); ++i) {
      zip_stat_t status;
      ASSERT_EQ(zip_stat_index(archive, static_cast<zip_uint64_t>(i), 0, &status), 0);
      std::string content(status.size, '\0');
      zip_file_t* file = zip_fopen_index(archive, static_cast<zip_uint64_t>(i), 0);
      ASSERT_EQ(zip_fread(file, content.data(), content.size()), static_cast<zip_int64_t>(content.size()));
      zip_fclose(file);
      const std::string full = folder_ + "/" + target + "/" + status.name;
      std::filesystem::create_directories(std::filesystem::path(full).parent_path());
      std::ofstream(full) << content;
      zip_uint8_t system = 0;
      zip_uint32_t attributes = 0;
      zip_file_get_external_attributes(archive, static_cast<zip_uint64_t>(i), 0, &system, &attributes);
      ASSERT_EQ(::chmod(full.c_str(), (attributes >> 16) & 0777), 0);
    }
    zip_discard(archive);
  }

  Enrolment EnrollSite(const std::string& name, const std::string& folder) {
    auto enrolment = Enroll(*disk_, {.name = name, .org = "Clinic", .folder = folder});
    EXPECT_TRUE(enrolment.has_value()) << enrolment.error().message();
    return enrolment.value_or(Enrolment());
  }

  std::string folder_;
  std::unique_ptr<PosixDisk> disk_;
  Project project_;
  std::vector<std::string> notes_;
};

TEST_F(ProvisionTest, EveryPartyGetsAKitThatLoads) {
  EXPECT_EQ(Outcomes(), (std::map<std::string, What>{{"server", What::kMade},
                                                     {"site_1", What::kMade},
                                                     {"site_2", What::kMade},
                                                     {"lead@example.org", What::kMade}}));
  ExpectLoads("out/server", PartyRole::kServer);
  ExpectLoads("out/site_1", PartyRole::kSite);
  ExpectLoads("out/site_2", PartyRole::kSite);
  ExpectLoads("out/lead@example.org", PartyRole::kAdmin);
}

TEST_F(ProvisionTest, BothTypesOfKeyWork) {
  project_.key_type = KeyType::kEd25519;
  Outcomes();
  EXPECT_EQ(Load("out/site_1", PartyRole::kSite)->key.public_key().type(), KeyType::kEd25519);
}

TEST_F(ProvisionTest, ConfigurationsSayWhereTheServerIs) {
  Outcomes();
  const Json server = Load("out/server", PartyRole::kServer)->config["servers"][0];
  EXPECT_EQ(server["name"], "liver");
  EXPECT_EQ(server["service"]["target"], "0.0.0.0:9002");
  EXPECT_EQ(server["min_num_clients"], 2);
  EXPECT_FALSE(server.contains("max_num_clients"));
  EXPECT_EQ(server["ssl_private_key"], "server.key");
  const Json site = Load("out/site_1", PartyRole::kSite)->config;
  EXPECT_EQ(site["servers"][0]["name"], "liver");
  EXPECT_EQ(site["servers"][0]["service"]["target"], "fl.example.org:9002");
  EXPECT_EQ(site["client"],
            (Json{{"ssl_private_key", "client.key"}, {"ssl_cert", "client.crt"}, {"ssl_root_cert", "rootCA.pem"}}));
  EXPECT_EQ(Load("out/lead@example.org", PartyRole::kAdmin)->config["admin"]["email"], "lead@example.org");
}

TEST_F(ProvisionTest, AnIpv6ServerIsBracketed) {
  project_.server.host = "::1";
  Outcomes();
  EXPECT_EQ(Load("out/site_1", PartyRole::kSite)->config["servers"][0]["service"]["target"], "[::1]:9002");
}

TEST_F(ProvisionTest, OnlyTheOwnerCanReadSecrets) {
  Outcomes();
  for (const char* path : {"out/_authority/root.key", "out/server/startup/server.key", "out/site_1/startup/client.key",
                           "out/site_1.zip"}) {
    EXPECT_EQ(ModeOf(path), 0600u) << path;
  }
  EXPECT_EQ(ModeOf("out/site_1/startup/start.sh") & 0100u, 0100u);
}

TEST_F(ProvisionTest, TheZipUnpacksToAKitThatLoads) {
  Outcomes();
  for (const auto& [name, role] : {std::pair("server", PartyRole::kServer),
                                   {"site_1", PartyRole::kSite},
                                   {"lead@example.org", PartyRole::kAdmin}}) {
    Unzip(std::string("out/") + name + ".zip", "there");
    ExpectLoads(std::string("there/") + name, role);
    EXPECT_EQ(ModeOf(std::string("there/") + name + "/startup/start.sh"), 0755u);
  }
  EXPECT_EQ(ModeOf("there/site_1/startup/client.key"), 0600u);
}

TEST_F(ProvisionTest, StartScriptsPassOnTheirArguments) {
  Outcomes();
  EXPECT_THAT(Read("out/site_1/startup/start.sh"), HasSubstr("client --kit \"$kit\" \"$@\""));
  EXPECT_THAT(Read("out/server/startup/start.sh"), HasSubstr("server --kit \"$kit\" \"$@\""));
}

TEST_F(ProvisionTest, ASecondRunTouchesNothing) {
  Outcomes();
  const Files before = Snapshot();
  const auto outcomes = Outcomes({.now = kNow + kDay});
  for (const auto& [name, what] : outcomes) EXPECT_EQ(what, What::kUnchanged) << name;
  EXPECT_EQ(Snapshot(), before);
}

TEST_F(ProvisionTest, AnAddedSiteTouchesNoOther) {
  Outcomes();
  const Files before = Snapshot();
  project_.sites.push_back({.name = "site_3", .org = ""});
  EXPECT_EQ(Outcomes({.now = kNow + kDay})["site_3"], What::kMade);
  EXPECT_TRUE(Changed(before, Snapshot()).empty());
  ExpectLoads("out/site_3", PartyRole::kSite);
  EXPECT_EQ(Load("out/site_3", PartyRole::kSite)->root.pem(), Load("out/site_1", PartyRole::kSite)->root.pem());
}

TEST_F(ProvisionTest, EveryFileOfAKitThatIsTamperedWithIsNamed) {
  Outcomes();
  for (const auto& [name, role] : {std::pair("server", PartyRole::kServer),
                                   {"site_1", PartyRole::kSite},
                                   {"lead@example.org", PartyRole::kAdmin}}) {
    const std::string startup = std::string("out/") + name + "/startup/";
    const auto files = disk_->List(startup);
    ASSERT_TRUE(files.has_value());
    for (const std::string& file : *files) {
      const std::string before = Read(startup + file);
      const bool secret = file.ends_with(".key");
      std::string changed = before;
      changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 4);
      ASSERT_TRUE(WriteFileAtomically(*disk_, startup + file, changed, secret).has_value());
      const auto kit = Load(std::string("out/") + name, role);
      ASSERT_FALSE(kit.has_value()) << startup << file;
      EXPECT_THAT(kit.error().message(), HasSubstr(file));
      ASSERT_TRUE(WriteFileAtomically(*disk_, startup + file, before, secret).has_value());
    }
    ExpectLoads(std::string("out/") + name, role);
  }
}

TEST_F(ProvisionTest, TwoKitsCannotBeMixed) {
  Outcomes();
  for (const char* file : {"client.crt", "manifest.json", "manifest.sig"}) {
    const std::string before = Read(std::string("out/site_1/startup/") + file);
    ASSERT_TRUE(WriteFileAtomically(*disk_, std::string("out/site_1/startup/") + file,
                                    Read(std::string("out/site_2/startup/") + file))
                    .has_value());
    EXPECT_FALSE(Load("out/site_1", PartyRole::kSite).has_value()) << file;
    ASSERT_TRUE(WriteFileAtomically(*disk_, std::string("out/site_1/startup/") + file, before).has_value());
  }
  std::filesystem::copy_file(folder_ + "/out/site_2/startup/client.key", folder_ + "/out/site_1/startup/client.key",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(Load("out/site_1", PartyRole::kSite).error().message(),
              HasSubstr("client.key is not the key of client.crt"));
}

TEST_F(ProvisionTest, ASiteThatMakesItsOwnKeyGetsAKitWithoutOne) {
  project_.sites[1].own_key = true;
  EXPECT_EQ(Outcomes()["site_2"], What::kWaiting);
  EXPECT_FALSE(*disk_->Exists("out/site_2"));
  const Enrolment enrolment = EnrollSite("site_2", "hospital/site_2");
  EXPECT_EQ(ModeOf("hospital/site_2/startup/client.key"), 0600u);
  const Files before = Snapshot();

  const auto report = Run({.sign = {"hospital/site_2/site_2.csr"}});
  ASSERT_TRUE(report.has_value()) << report.error().message();
  EXPECT_EQ(report->parties[0].what, What::kSigned);
  EXPECT_THAT(report->parties[0].detail, HasSubstr(enrolment.key_fingerprint));
  EXPECT_TRUE(Changed(before, Snapshot()).empty());
  EXPECT_FALSE(*disk_->Exists("out/site_2/startup/client.key"));

  Unzip("out/site_2.zip", "elsewhere");
  EXPECT_THAT(Load("elsewhere/site_2", PartyRole::kSite).error().message(), HasSubstr("fedlearn client enroll"));
  Unzip("out/site_2.zip", "hospital");
  ExpectLoads("hospital/site_2", PartyRole::kSite);
  EXPECT_EQ(Outcomes()["site_2"], What::kUnchanged);
}

TEST_F(ProvisionTest, ARequestForANewSiteNeedsNoMarkInTheProject) {
  Outcomes();
  project_.sites.push_back({.name = "site_3", .org = "Clinic"});
  EnrollSite("site_3", "site_3");
  EXPECT_EQ(Outcomes({.sign = {"site_3/site_3.csr"}})["site_3"], What::kSigned);
}

TEST_F(ProvisionTest, ARequestOfAStrangerIsRefused) {
  EnrollSite("sitte_2", "x");
  ExpectRefused(
      ErrorKind::kNotFound,
      "x/sitte_2.csr: 'sitte_2' is not in project.yml; did you mean 'site_2'?; add it there, or correct the name",
      {.sign = {"x/sitte_2.csr"}});
}

TEST_F(ProvisionTest, ARequestCannotTakeOverAName) {
  Outcomes();
  EnrollSite("site_2", "x");
  const Files before = Snapshot();
  ExpectRefused(ErrorKind::kFailedPrecondition, "x/site_2.csr: 'site_2' has a certificate for another key",
                {.sign = {"x/site_2.csr"}});
  EXPECT_EQ(Snapshot(), before);
  EXPECT_EQ(Outcomes({.sign = {"x/site_2.csr"}, .renew = {"site_2"}})["site_2"], What::kSigned);
  EXPECT_FALSE(*disk_->Exists("out/site_2/startup/client.key"));
}

TEST_F(ProvisionTest, TheSameRequestAgainRenewsTheCertificate) {
  project_.sites[1].own_key = true;
  EnrollSite("site_2", "site_2");
  EXPECT_EQ(Outcomes({.sign = {"site_2/site_2.csr"}})["site_2"], What::kSigned);
  const WallTime later = kNow + 400 * kDay;
  EXPECT_EQ(Outcomes({.now = later})["site_2"], What::kExpired);
  EXPECT_EQ(Outcomes({.sign = {"site_2/site_2.csr"}, .now = later})["site_2"], What::kSigned);
}

TEST_F(ProvisionTest, ARevokedKeyIsNeverSignedAgain) {
  project_.sites[1].own_key = true;
  EnrollSite("site_2", "old");
  Outcomes({.sign = {"old/site_2.csr"}});
  Outcomes({.revoke = {"site_2"}});
  ExpectRefused(ErrorKind::kFailedPrecondition, "old/site_2.csr: this key of 'site_2' is revoked for good",
                {.sign = {"old/site_2.csr"}, .renew = {"site_2"}});
  EnrollSite("site_2", "new");
  ExpectRefused(ErrorKind::kFailedPrecondition, "new/site_2.csr: 'site_2' is revoked", {.sign = {"new/site_2.csr"}});
  EXPECT_EQ(Outcomes({.sign = {"new/site_2.csr"}, .renew = {"site_2"}})["site_2"], What::kSigned);
}

TEST_F(ProvisionTest, OnlySitesHaveRequestsSigned) {
  EnrollSite("lead@example.org", "x");
  ExpectRefused(ErrorKind::kInvalidArgument, "'lead@example.org' is not a site", {.sign = {"x/lead@example.org.csr"}});
  ASSERT_TRUE(WriteFileAtomically(*disk_, "bad.csr", "x").has_value());
  ExpectRefused(ErrorKind::kInvalidArgument, "bad.csr: not a certificate request", {.sign = {"bad.csr"}});
  ExpectRefused(ErrorKind::kNotFound, "none.csr", {.sign = {"none.csr"}});
}

TEST_F(ProvisionTest, ARevokedSiteIsOnTheServersListAndNoOtherKitChanges) {
  Outcomes();
  const Files before = Snapshot();
  EXPECT_EQ(Outcomes({.revoke = {"site_2"}})["site_2"], What::kRevoked);
  EXPECT_THAT(notes_, Contains(HasSubstr("crl.pem")));
  EXPECT_THAT(Changed(before, Snapshot()),
              ::testing::UnorderedElementsAre("out/_authority/crl.pem", "out/_authority/issued/site_2.json",
                                              "out/server/startup/crl.pem", "out/server.zip"));
  const auto server = Load("out/server", PartyRole::kServer);
  ASSERT_TRUE(server.has_value()) << server.error().message();
  const auto list = RevocationList::FromPem(server->revocation_pem, server->root, "crl.pem");
  const auto site_1 = Load("out/site_1", PartyRole::kSite);
  const auto site_2 = Load("out/site_2", PartyRole::kSite);
  EXPECT_FALSE(list->Contains(site_1->certificate));
  EXPECT_TRUE(list->Contains(site_2->certificate));
  EXPECT_FALSE(VerifyCertificate(site_2->certificate, server->root, &*list, kNow).has_value());
  Unzip("out/server.zip", "there");
  EXPECT_EQ(Load("there/server", PartyRole::kServer)->revocation_pem, server->revocation_pem);
}

TEST_F(ProvisionTest, ARevokedSiteCanBeRenewedAndItsOldCertificateStaysRevoked) {
  Outcomes();
  const Certificate old = Load("out/site_2", PartyRole::kSite)->certificate;
  Outcomes({.revoke = {"site_2"}});
  EXPECT_EQ(Outcomes()["site_2"], What::kRevoked);
  EXPECT_EQ(Outcomes({.renew = {"site_2"}})["site_2"], What::kMade);
  Outcomes({.revoke = {"site_1"}});
  const auto server = Load("out/server", PartyRole::kServer);
  const auto list = RevocationList::FromPem(server->revocation_pem, server->root, "crl.pem");
  EXPECT_TRUE(list->Contains(old));
  EXPECT_FALSE(list->Contains(Load("out/site_2", PartyRole::kSite)->certificate));
  EXPECT_TRUE(list->Contains(Load("out/site_1", PartyRole::kSite)->certificate));
}

TEST_F(ProvisionTest, ASiteCanBeRevokedWhereTheServersKitIsGone) {
  Outcomes();
  std::filesystem::remove_all(folder_ + "/out/server");
  Outcomes({.revoke = {"site_2"}});
  EXPECT_THAT(notes_, Contains(HasSubstr("copy out/_authority/crl.pem to startup/")));
  EXPECT_FALSE(*disk_->Exists("out/server"));
}

TEST_F(ProvisionTest, WhoHasNoCertificateCannotBeRevoked) {
  Outcomes();
  ExpectRefused(ErrorKind::kNotFound,
                "nobody called 'site_22' has a certificate of this project; did you mean 'site_2'?",
                {.revoke = {"site_22"}});
  ExpectRefused(ErrorKind::kInvalidArgument, "the server's certificate cannot be revoked", {.revoke = {"server"}});
  ExpectRefused(ErrorKind::kNotFound, "--renew: 'nobody' is not in project.yml", {.renew = {"nobody"}});
}

TEST_F(ProvisionTest, AnExpiredKitIsToldAndRenewed) {
  Outcomes();
  const WallTime later = kNow + 400 * kDay;
  EXPECT_THAT(Load("out/site_1", PartyRole::kSite, later).error().message(), HasSubstr("--renew site_1"));
  EXPECT_EQ(Outcomes({.now = later})["site_1"], What::kExpired);
  const Files before = Snapshot();
  EXPECT_EQ(Outcomes({.renew = {"site_1"}, .now = later})["site_1"], What::kMade);
  for (const std::string& path : Changed(before, Snapshot())) EXPECT_THAT(path, HasSubstr("site_1"));
  EXPECT_TRUE(Load("out/site_1", PartyRole::kSite, later).has_value());
}

TEST_F(ProvisionTest, AnotherProjectOrHostInTheSameFolderIsRefused) {
  Outcomes();
  const Files before = Snapshot();
  project_.name = "lung";
  ExpectRefused(ErrorKind::kFailedPrecondition,
                "project.yml: the project is \"lung\", and the kits made so far say \"liver\"");
  project_ = TwoSites();
  project_.server.host = "other.example.org";
  ExpectRefused(ErrorKind::kFailedPrecondition, "the host is \"other.example.org\"");
  project_ = TwoSites();
  project_.server.port = 1;
  ExpectRefused(ErrorKind::kFailedPrecondition, "the fed_learn_port is 1");
  EXPECT_EQ(Snapshot(), before);
}

TEST_F(ProvisionTest, AChangedSettingOfTheServerIsNotedAndTakenByRenewing) {
  Outcomes();
  project_.server.min_num_clients = 3;
  EXPECT_EQ(Outcomes()["server"], What::kUnchanged);
  EXPECT_THAT(notes_, Contains(HasSubstr("--renew server")));
  EXPECT_EQ(Outcomes({.renew = {"server"}})["server"], What::kMade);
  EXPECT_EQ(Load("out/server", PartyRole::kServer)->config["servers"][0]["min_num_clients"], 3);
  Outcomes();
  EXPECT_THAT(notes_, Not(Contains(HasSubstr("--renew server"))));
}

TEST_F(ProvisionTest, ASiteThatWasTakenOutIsNoted) {
  Outcomes();
  project_.sites.pop_back();
  Outcomes();
  EXPECT_THAT(notes_, Contains(HasSubstr("--revoke site_2")));
  Outcomes({.revoke = {"site_2"}});
  Outcomes();
  EXPECT_THAT(notes_, Not(Contains(HasSubstr("--revoke site_2"))));
}

TEST_F(ProvisionTest, ASiteCannotBecomeAnAdmin) {
  Outcomes();
  project_.sites.pop_back();
  project_.admins.push_back({.email = "site_2", .org = ""});
  ExpectRefused(ErrorKind::kFailedPrecondition, "'site_2' is admin there and was site");
}

TEST_F(ProvisionTest, ARootKeyThatIsLostOrReadableIsNamed) {
  Outcomes();
  ASSERT_EQ(::chmod((folder_ + "/out/_authority/root.key").c_str(), 0644), 0);
  ExpectRefused(ErrorKind::kPermissionDenied, "chmod 600");
  ASSERT_TRUE(disk_->Remove("out/_authority/root.key").has_value());
  ExpectRefused(ErrorKind::kNotFound, "out/_authority/root.key is missing");
}

TEST_F(ProvisionTest, ARunAtTheSameTimeIsRefused) {
  Outcomes();
  const auto lock = disk_->Lock("out/_authority");
  ASSERT_TRUE(lock.has_value());
  ExpectRefused(ErrorKind::kAlreadyExists, "_authority is in use");
}

TEST_F(ProvisionTest, EnrollingTwiceKeepsTheFirstKey) {
  EnrollSite("site_1", "site_1");
  const std::string key = Read("site_1/startup/client.key");
  const auto again = Enroll(*disk_, {.name = "site_1", .org = "", .folder = "site_1"});
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().kind(), ErrorKind::kAlreadyExists);
  EXPECT_EQ(Read("site_1/startup/client.key"), key);
  EXPECT_FALSE(Enroll(*disk_, {.name = "server", .org = "", .folder = "x"}).has_value());
}

// The power fails after every number of operations in turn; the next run has to end with kits that all load, of a root
// that never changes once a kit is recorded.
TEST(ProvisionCrashTest, AnotherRunGoesOnFromAnyPoint) {
  const Project project = TwoSites();
  const ProvisionOptions options{.out = "out", .now = kNow};
  bool whole = false;
  for (std::uint64_t operations = 0; !whole; operations += 3) {
    SimulatedDisk disk;
    Random random(operations);
    disk.StopAfter(operations);
    whole = Provision(disk, project, options).has_value();
    disk.Crash(random);
    const auto report = Provision(disk, project, options);
    ASSERT_TRUE(report.has_value()) << operations << ": " << report.error().message();
    for (const auto& [name, role] : {std::pair("server", PartyRole::kServer),
                                     {"site_1", PartyRole::kSite},
                                     {"site_2", PartyRole::kSite},
                                     {"lead@example.org", PartyRole::kAdmin}}) {
      const auto kit = LoadKit(disk, std::string("out/") + name, {.role = role, .now = kNow});
      ASSERT_TRUE(kit.has_value()) << operations << ": " << kit.error().message();
      EXPECT_EQ(kit->root.Fingerprint(), report->root_fingerprint);
      EXPECT_TRUE(*disk.Exists(std::string("out/") + name + ".zip"));
    }
  }
}

}  // namespace
}  // namespace fed_learn

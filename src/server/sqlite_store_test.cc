// What is the SQLite store's own: crashes, full disks, damage, other files and other processes.
#include "server/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/hash.h"
#include "base/posix_disk.h"
#include "base/random.h"
#include "base/simulated_disk.h"
#include "server/sqlite_database.h"

namespace fed_learn {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr const char* kFolder = "server/store";
constexpr const char* kFile = "server/store/store.db";

std::unique_ptr<Store> Opened(Disk& disk) {
  auto store = OpenSqliteStore(disk, kFolder);
  EXPECT_TRUE(store.has_value()) << store.error().message();
  return store.has_value() ? *std::move(store) : nullptr;
}

RoundRecord Round(int round) {
  return {.run = 1,
          .round = round,
          .model_id = "model" + std::to_string(round),
          .sites = {"a", "b"},
          .metrics = {{"text", std::string(static_cast<std::size_t>(37 * (round + 1)), 'x')}},
          .seconds = round + 0.5};
}

bool IsRound(const RoundRecord& record, int round) {
  const RoundRecord expected = Round(round);
  return record.round == round && record.model_id == expected.model_id && record.sites == expected.sites &&
         record.metrics == expected.metrics && record.seconds == expected.seconds;
}

std::string Bytes(Disk& disk, const std::string& path) { return ReadFile(disk, path, 1 << 24).value(); }

// What a store has acknowledged, and what it may have kept besides: the record under way when the power failed.
struct Acknowledged {
  int rounds = 0;
  int sites = 0;
  int lines = 0;

  void Expect(Store& store, std::uint64_t seed) const {
    const auto kept_rounds = store.Rounds(1);
    ASSERT_TRUE(kept_rounds.has_value()) << kept_rounds.error().message();
    EXPECT_THAT(static_cast<int>(kept_rounds->size()), AnyOf(rounds, rounds + 1)) << "seed " << seed;
    for (std::size_t i = 0; i < kept_rounds->size(); ++i) {
      EXPECT_TRUE(IsRound((*kept_rounds)[i], static_cast<int>(i))) << "seed " << seed << ", round " << i;
    }
    const auto kept_sites = store.Sites().value();
    EXPECT_THAT(static_cast<int>(kept_sites.size()), AnyOf(sites, sites + 1)) << "seed " << seed;
    for (std::size_t i = 0; i < kept_sites.size(); ++i) {
      EXPECT_EQ(kept_sites[i].site, "site" + std::to_string(i)) << "seed " << seed;
      EXPECT_EQ(kept_sites[i].token, "token" + std::to_string(i)) << "seed " << seed;
    }
    const auto kept_lines = store.Audit().value();
    EXPECT_THAT(static_cast<int>(kept_lines.size()), AnyOf(lines, lines + 1)) << "seed " << seed;
    for (std::size_t i = 0; i < kept_lines.size(); ++i) {
      EXPECT_EQ(kept_lines[i].what, "line" + std::to_string(i)) << "seed " << seed;
    }
  }

  // What is there now is the new floor.
  void TakeOver(Store& store) {
    rounds = static_cast<int>(store.Rounds(1).value().size());
    sites = static_cast<int>(store.Sites().value().size());
    lines = static_cast<int>(store.Audit().value().size());
  }

  // Records one thing of a random kind, and counts it if it was acknowledged.
  bool Record(Store& store, Random& random) {
    switch (random.Below(3)) {
      case 0:
        return Count(store.RecordRound(Round(rounds)), rounds);
      case 1: {
        const std::string n = std::to_string(sites);
        return Count(store.RecordSite({.site = "site" + n, .token = "token" + n, .registered = sites}), sites);
      }
      default:
        return Count(store.RecordAudit("now", "ann", "line" + std::to_string(lines)), lines);
    }
  }

  static bool Count(const Status& status, int& counter) {
    counter += status.has_value() ? 1 : 0;
    return status.has_value();
  }
};

TEST(SqliteStoreTest, PowerFailsAnywhereAndWhatWasAcknowledgedIsThere) {
  int failures = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    SimulatedDisk disk;
    Acknowledged acknowledged;
    for (int life = 0; life < 3; ++life) {
      disk.StopAfter(random.Below(life == 0 ? 60 : 120));
      if (auto store = OpenSqliteStore(disk, kFolder); store.has_value()) {
        for (int i = 0; i < 20 && acknowledged.Record(**store, random);) ++i;
      }
      ++failures;
      disk.Crash(random);
      const auto store = Opened(disk);
      ASSERT_NE(store, nullptr) << "seed " << seed;
      acknowledged.Expect(*store, seed);
      acknowledged.TakeOver(*store);
      ASSERT_FALSE(HasFailure());
    }
  }
  EXPECT_EQ(failures, 900);
}

TEST(SqliteStoreTest, KilledAnywhereAndWhatWasAcknowledgedIsThere) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    SimulatedDisk disk;
    Acknowledged acknowledged;
    auto dead = Opened(disk);
    for (std::uint64_t records = random.Below(30); records > 0; --records) {
      ASSERT_TRUE(acknowledged.Record(*dead, random));
    }
    disk.KillProcess();
    auto store = Opened(disk);
    ASSERT_NE(store, nullptr);
    ASSERT_TRUE(acknowledged.Record(*store, random));
    // The dead one's destructor comes late, and must not touch what its successor has.
    dead.reset();
    ASSERT_TRUE(acknowledged.Record(*store, random));
    disk.KillProcess();
    const auto last = Opened(disk);
    ASSERT_NE(last, nullptr);
    acknowledged.Expect(*last, seed);
    ASSERT_FALSE(HasFailure()) << seed;
  }
}

TEST(SqliteStoreTest, ASyncThatFailsIsReportedAndLosesNothingElse) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    SimulatedDisk disk;
    Acknowledged acknowledged;
    auto store = Opened(disk);
    int refused = 0;
    for (int i = 0; i < 30; ++i) {
      if (random.Chance(0.2)) disk.FailNextSync();
      if (acknowledged.Record(*store, random)) continue;
      ++refused;
      // What was refused may have been kept all the same, as after any lost answer.
      acknowledged.TakeOver(*store);
    }
    EXPECT_GT(refused, 0);
    disk.Crash(random);
    store = Opened(disk);
    ASSERT_NE(store, nullptr);
    acknowledged.Expect(*store, seed);
    ASSERT_FALSE(HasFailure()) << seed;
  }
}

TEST(SqliteStoreTest, AFullDiskIsSaidAndOverWhenThereIsRoom) {
  for (std::uint64_t bytes = 0; bytes < 40000; bytes += 977) {
    SimulatedDisk disk;
    auto store = Opened(disk);
    ASSERT_TRUE(store->RecordRound(Round(0)).has_value());
    disk.FailAfterBytes(bytes);
    int round = 1;
    Status status;
    while ((status = store->RecordRound(Round(round))).has_value() && round < 50) ++round;
    ASSERT_FALSE(status.has_value());
    EXPECT_THAT(status.error().message(), HasSubstr("full")) << bytes;
    disk.FailAfterBytes(std::nullopt);
    const Status again = store->RecordRound(Round(round));
    ASSERT_TRUE(again.has_value()) << bytes << ": " << again.error().message();
    store = nullptr;
    EXPECT_EQ(Opened(disk)->Rounds(1).value().size(), static_cast<std::size_t>(round) + 1) << bytes;
  }
}

TEST(SqliteStoreTest, AFlippedBitIsAnErrorOrHarmlessNeverAWrongRecord) {
  SimulatedDisk disk;
  auto store = Opened(disk);
  for (int round = 0; round < 40; ++round) ASSERT_TRUE(store->RecordRound(Round(round)).has_value());
  store = nullptr;
  Random random(3);
  int refused = 0;
  for (int trial = 0; trial < 300; ++trial) {
    const std::string path = std::string(kFile) + (trial % 3 == 0 ? "-wal" : "");
    const std::string good = Bytes(disk, path);
    std::string bad = good;
    bad[random.Below(bad.size())] ^= static_cast<char>(1 << random.Below(8));
    ASSERT_TRUE(WriteFileAtomically(disk, path, bad, true).has_value());
    const std::string other = Bytes(disk, trial % 3 == 0 ? kFile : std::string(kFile) + "-wal");
    auto opened = OpenSqliteStore(disk, kFolder);
    const auto rounds = opened.has_value() ? (*opened)->Rounds(1) : Result<std::vector<RoundRecord>>(opened.error());
    if (rounds.has_value()) {
      ASSERT_EQ(rounds->size(), 40u) << path << ", trial " << trial;
      for (int round = 0; round < 40; ++round) EXPECT_TRUE(IsRound((*rounds)[static_cast<std::size_t>(round)], round));
    } else {
      ++refused;
      EXPECT_THAT(rounds.error().message(), HasSubstr(kFile));
      EXPECT_THAT(rounds.error().kind(), AnyOf(ErrorKind::kDataLoss, ErrorKind::kFailedPrecondition))
          << rounds.error().message();
    }
    if (opened.has_value()) opened->reset();
    ASSERT_TRUE(WriteFileAtomically(disk, path, good, true).has_value());
    ASSERT_TRUE(
        WriteFileAtomically(disk, trial % 3 == 0 ? kFile : std::string(kFile) + "-wal", other, true).has_value());
  }
  EXPECT_GT(refused, 150);  // all but those that hit the log, or a page that the log has too
}

TEST(SqliteStoreTest, AFileCutShortIsAnError) {
  SimulatedDisk disk;
  auto store = Opened(disk);
  for (int round = 0; round < 40; ++round) ASSERT_TRUE(store->RecordRound(Round(round)).has_value());
  store = nullptr;
  const std::string good = Bytes(disk, kFile);
  ASSERT_TRUE(disk.Remove(std::string(kFile) + "-wal").has_value());
  for (std::size_t size = 1; size < good.size(); size += 1234) {
    ASSERT_TRUE(WriteFileAtomically(disk, kFile, good.substr(0, size), true).has_value());
    EXPECT_FALSE(OpenSqliteStore(disk, kFolder).has_value()) << size;
  }
}

TEST(SqliteStoreTest, AnotherFileOfThatNameIsRefused) {
  SimulatedDisk disk;
  ASSERT_TRUE(disk.MakeFolders(kFolder).has_value());
  ASSERT_TRUE(WriteFileAtomically(disk, kFile, std::string(9000, 'x'), true).has_value());
  const auto text = OpenSqliteStore(disk, kFolder);
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().kind(), ErrorKind::kDataLoss);
  EXPECT_THAT(text.error().message(), HasSubstr(kFile));
}

TEST(SqliteStoreTest, ADatabaseOfSomebodyElseIsRefused) {
  SimulatedDisk disk;
  ASSERT_TRUE(disk.MakeFolders(kFolder).has_value());
  {
    const auto database = SqliteDatabase::Open(disk, kFile).value();
    ASSERT_TRUE(database->Run("CREATE TABLE theirs (x)").has_value());
  }
  const auto store = OpenSqliteStore(disk, kFolder);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().kind(), ErrorKind::kFailedPrecondition);
  EXPECT_THAT(store.error().message(), HasSubstr("not made by fed_learn"));
}

TEST(SqliteStoreTest, AStoreOfANewerVersionIsRefused) {
  SimulatedDisk disk;
  Opened(disk).reset();
  {
    const auto database = SqliteDatabase::Open(disk, kFile).value();
    ASSERT_EQ(database->QueryInt("SELECT count(*) FROM migrations").value(), 1);
    ASSERT_TRUE(database->Run("PRAGMA user_version=99").has_value());
  }
  const auto store = OpenSqliteStore(disk, kFolder);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().kind(), ErrorKind::kFailedPrecondition);
  EXPECT_THAT(store.error().message(), HasSubstr("newer fed_learn"));
}

TEST(SqliteStoreTest, TwoAtOnceAreRefused) {
  SimulatedDisk disk;
  const auto store = Opened(disk);
  const auto second = OpenSqliteStore(disk, kFolder);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind(), ErrorKind::kAlreadyExists);
}

TEST(SqliteStoreTest, TheSameOnARealDisk) {
  const std::string root = ::testing::TempDir() + "sqlite_store_test";
  std::filesystem::remove_all(root);
  PosixDisk disk(root);
  ASSERT_TRUE(disk.MakeFolders(".").has_value());
  const SqliteStoreOptions options{.system_path = root};
  for (int life = 0; life < 3; ++life) {
    const auto store = OpenSqliteStore(disk, kFolder, options);
    ASSERT_TRUE(store.has_value()) << store.error().message();
    EXPECT_EQ((*store)->Rounds(1).value().size(), static_cast<std::size_t>(life));
    ASSERT_TRUE((*store)->RecordRound(Round(life)).has_value());
  }
  const auto permissions = std::filesystem::status(root + "/" + kFile).permissions();
  EXPECT_EQ(permissions & std::filesystem::perms::mask, std::filesystem::perms(0600));
  std::filesystem::remove_all(root);
}

TEST(SqliteStoreTest, TheLogDoesNotGrow) {
  SimulatedDisk disk;
  const auto store = Opened(disk);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(store->RecordAudit("now", "ann", "x").has_value());
  const std::size_t size = Bytes(disk, std::string(kFile) + "-wal").size();
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(store->RecordAudit("now", "ann", "x").has_value());
  EXPECT_LE(Bytes(disk, std::string(kFile) + "-wal").size(), size + 4 * 4120);
}

}  // namespace
}  // namespace fed_learn

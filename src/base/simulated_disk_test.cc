#include "base/simulated_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/hash.h"

namespace fed_learn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SimulatedDiskTest : public ::testing::Test {
 protected:
  std::unique_ptr<File> Create(std::string_view path) {
    auto file = disk_.Open(path, {.mode = OpenMode::kCreate});
    EXPECT_TRUE(file.has_value()) << file.error().message();
    return std::move(file).value();
  }

  // An unsynced file under an unsynced name.
  void Write(std::string_view path, std::string_view text) {
    EXPECT_TRUE(Create(path)->WriteAt(0, AsBytes(text)).has_value());
  }

  // Its contents, or "(none)".
  std::string Read(std::string_view path) {
    const Result<std::string> text = ReadFile(disk_, path, 1'000'000);
    EXPECT_TRUE(text.has_value() || text.error().kind() == ErrorKind::kNotFound);
    return text.value_or("(none)");
  }

  void Crash(std::uint64_t seed) {
    Random random(seed);
    disk_.Crash(random);
  }

  SimulatedDisk disk_;
};

TEST_F(SimulatedDiskTest, WhatIsWrittenIsRead) {
  for (const std::size_t size : {0, 1, 100'001}) {
    const std::string text(size, 'x');
    ASSERT_TRUE(WriteFileAtomically(disk_, "f", text).has_value());
    EXPECT_EQ(Read("f"), text);
    EXPECT_EQ(Read("/f"), text);
    EXPECT_EQ(Read("./f"), text);
  }
  EXPECT_THAT(disk_.List(".").value(), ElementsAre("f"));
}

TEST_F(SimulatedDiskTest, ErrorsAreThoseOfTheRealDisk) {
  EXPECT_EQ(disk_.Open("none", {}).error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(disk_.Open("no/folder", {.mode = OpenMode::kCreate}).error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(disk_.Open(".", {}).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(disk_.Open("", {}).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(disk_.Open("../x", {}).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(disk_.Remove("none").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(disk_.Rename("none", "x").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(disk_.List("none").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(disk_.SyncFolder("none").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(disk_.Lock("none").error().kind(), ErrorKind::kNotFound);
  Write("f", "abc");
  EXPECT_EQ(disk_.Open("f", {.mode = OpenMode::kCreateExclusive}).error().kind(), ErrorKind::kAlreadyExists);
  EXPECT_EQ(disk_.MakeFolders("f/g").error().kind(), ErrorKind::kInvalidArgument);
  std::string out(4, '\0');
  EXPECT_EQ(Create("f")->ReadAt(0, std::as_writable_bytes(std::span(out))).error().kind(), ErrorKind::kDataLoss);
  EXPECT_FALSE(disk_.Open("f", {}).value()->WriteAt(0, AsBytes("x")).has_value());
}

TEST_F(SimulatedDiskTest, AFolderListsWhatLiesDirectlyInIt) {
  ASSERT_TRUE(disk_.MakeFolders("a/b/c").has_value());
  Write("a/f", "");
  Write("a/b/g", "");
  Write("ab", "");
  EXPECT_THAT(disk_.List("a").value(), ElementsAre("b", "f"));
  EXPECT_THAT(disk_.List(".").value(), ElementsAre("a", "ab"));
  EXPECT_THAT(disk_.List("a/b/c/").value(), ElementsAre());
}

TEST_F(SimulatedDiskTest, WhatWasSyncedSurvivesEveryCrash) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto file = Create("f");
    ASSERT_TRUE(file->Truncate(0).has_value());
    ASSERT_TRUE(file->WriteAt(0, AsBytes("safe")).has_value());
    ASSERT_TRUE(file->Sync().has_value());
    ASSERT_TRUE(disk_.SyncFolder(".").has_value());
    ASSERT_TRUE(file->WriteAt(4, AsBytes(" not")).has_value());
    Crash(seed);
    EXPECT_EQ(Read("f").substr(0, 4), "safe");
  }
}

TEST_F(SimulatedDiskTest, AnUnsyncedWriteIsKeptTornOrLost) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SimulatedDisk disk;
    auto file = disk.Open("f", {.mode = OpenMode::kCreate}).value();
    ASSERT_TRUE(disk.SyncFolder(".").has_value());
    ASSERT_TRUE(file->WriteAt(0, AsBytes("ab")).has_value());
    ASSERT_TRUE(file->WriteAt(2, AsBytes("cd")).has_value());
    Random random(seed);
    disk.Crash(random);
    outcomes.insert(ReadFile(disk, "f", 10).value());
  }
  EXPECT_TRUE(outcomes.contains("abcd"));
  EXPECT_TRUE(outcomes.contains("abc"));
  EXPECT_TRUE(outcomes.contains(""));
  EXPECT_TRUE(outcomes.contains(std::string("\0\0cd", 4)));
}

TEST_F(SimulatedDiskTest, AnUnsyncedNameMayBeLostAlthoughTheContentsWereSynced) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SimulatedDisk disk;
    auto file = disk.Open("f", {.mode = OpenMode::kCreate}).value();
    ASSERT_TRUE(file->WriteAt(0, AsBytes("x")).has_value());
    ASSERT_TRUE(file->Sync().has_value());
    Random random(seed);
    disk.Crash(random);
    outcomes.insert(ReadFile(disk, "f", 10).value_or("(none)"));
  }
  EXPECT_THAT(outcomes, ElementsAre("(none)", "x"));
}

TEST_F(SimulatedDiskTest, NamesAreKeptInTheOrderInWhichTheyWereMade) {
  std::set<std::size_t> counts;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedDisk disk;
    for (const std::string_view name : {"a", "b", "c"}) (void)disk.Open(name, {.mode = OpenMode::kCreate}).value();
    Random random(seed);
    disk.Crash(random);
    const std::vector<std::string> names = disk.List(".").value();
    counts.insert(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(names[i], std::string(1, static_cast<char>('a' + i)));
  }
  EXPECT_THAT(counts, ElementsAre(0, 1, 2, 3));
}

TEST_F(SimulatedDiskTest, ARenameIntoAnotherFolderIsSafeOnceThatIsSynced) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SimulatedDisk disk;
    ASSERT_TRUE(disk.MakeFolders("from").has_value());
    ASSERT_TRUE(disk.MakeFolders("to").has_value());
    auto file = disk.Open("from/f", {.mode = OpenMode::kCreate}).value();
    ASSERT_TRUE(file->WriteAt(0, AsBytes("x")).has_value());
    ASSERT_TRUE(file->Sync().has_value());
    ASSERT_TRUE(disk.Rename("from/f", "to/f").has_value());
    ASSERT_TRUE(disk.SyncFolder("to").has_value());
    Random random(seed);
    disk.Crash(random);
    EXPECT_EQ(ReadFile(disk, "to/f", 10).value(), "x");
    EXPECT_FALSE(disk.Exists("from/f").value());
  }
}

TEST_F(SimulatedDiskTest, SyncingOneFolderDoesNotSaveTheNamesOfAnother) {
  std::set<bool> kept;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SimulatedDisk disk;
    ASSERT_TRUE(disk.MakeFolders("a").has_value());
    (void)disk.Open("a/f", {.mode = OpenMode::kCreate}).value();
    ASSERT_TRUE(disk.SyncFolder(".").has_value());
    Random random(seed);
    disk.Crash(random);
    kept.insert(disk.Exists("a/f").value());
  }
  EXPECT_THAT(kept, ElementsAre(false, true));
}

TEST_F(SimulatedDiskTest, ARemovedFileMayComeBack) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SimulatedDisk disk;
    ASSERT_TRUE(WriteFileAtomically(disk, "f", "x").has_value());
    ASSERT_TRUE(disk.Remove("f").has_value());
    EXPECT_FALSE(disk.Exists("f").value());
    Random random(seed);
    disk.Crash(random);
    outcomes.insert(ReadFile(disk, "f", 10).value_or("(none)"));
  }
  EXPECT_THAT(outcomes, ElementsAre("(none)", "x"));
}

TEST_F(SimulatedDiskTest, AfterACrashOldHandlesFailAndLocksAreFree) {
  const auto file = Create("f");
  const auto held = disk_.Lock(".");
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(disk_.Lock(".").error().kind(), ErrorKind::kAlreadyExists);
  Crash(1);
  EXPECT_EQ(file->WriteAt(0, AsBytes("x")).error().kind(), ErrorKind::kFailedPrecondition);
  EXPECT_EQ(file->Sync().error().kind(), ErrorKind::kFailedPrecondition);
  EXPECT_FALSE(file->Size().has_value());
  EXPECT_TRUE(disk_.Lock(".").has_value());
}

TEST_F(SimulatedDiskTest, AStaleLockDoesNotFreeTheNewOne) {
  auto stale = disk_.Lock(".").value();
  Crash(1);
  const auto held = disk_.Lock(".").value();
  stale.reset();
  EXPECT_FALSE(disk_.Lock(".").has_value());
}

TEST_F(SimulatedDiskTest, ALockThatIsLetGoIsFree) {
  disk_.Lock(".").value().reset();
  EXPECT_TRUE(disk_.Lock(".").has_value());
}

TEST_F(SimulatedDiskTest, AKilledProcessLosesItsHandlesAndNoBytes) {
  const auto file = Create("f");
  ASSERT_TRUE(file->WriteAt(0, AsBytes("x")).has_value());
  const auto held = disk_.Lock(".").value();
  disk_.KillProcess();
  EXPECT_FALSE(file->Size().has_value());
  EXPECT_EQ(Read("f"), "x");
  EXPECT_TRUE(disk_.Lock(".").has_value());
}

TEST_F(SimulatedDiskTest, AFullDiskTakesWhatFits) {
  const auto file = Create("f");
  disk_.FailAfterBytes(3);
  ASSERT_TRUE(file->WriteAt(0, AsBytes("ab")).has_value());
  const Status full = file->WriteAt(2, AsBytes("cd"));
  EXPECT_EQ(full.error().kind(), ErrorKind::kInternal);
  EXPECT_THAT(full.error().message(), HasSubstr("f: the disk is full"));
  EXPECT_EQ(Read("f"), "abc");
  disk_.FailAfterBytes(std::nullopt);
  EXPECT_TRUE(file->WriteAt(2, AsBytes("cd")).has_value());
}

TEST_F(SimulatedDiskTest, AFullDiskLeavesTheOldFile) {
  ASSERT_TRUE(WriteFileAtomically(disk_, "f", "old").has_value());
  disk_.FailAfterBytes(2);
  EXPECT_FALSE(WriteFileAtomically(disk_, "f", "new").has_value());
  EXPECT_EQ(Read("f"), "old");
  EXPECT_THAT(disk_.List(".").value(), ElementsAre("f"));
}

TEST_F(SimulatedDiskTest, WhatAFailedSyncLeftIsNeverSafe) {
  const auto file = Create("f");
  ASSERT_TRUE(disk_.SyncFolder(".").has_value());
  ASSERT_TRUE(file->WriteAt(0, AsBytes("lost")).has_value());
  disk_.FailNextSync();
  EXPECT_FALSE(file->Sync().has_value());
  EXPECT_TRUE(file->Sync().has_value());
  EXPECT_EQ(Read("f"), "lost");
  Crash(1);
  EXPECT_EQ(Read("f"), "");
}

TEST_F(SimulatedDiskTest, WithoutPowerNothingWorksUntilTheCrash) {
  disk_.StopAfter(0);
  EXPECT_EQ(disk_.Open("f", {.mode = OpenMode::kCreate}).error().kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(disk_.List(".").error().kind(), ErrorKind::kUnavailable);
  Crash(1);
  EXPECT_THAT(disk_.List(".").value(), ElementsAre());
}

TEST_F(SimulatedDiskTest, OneSeedGivesOneOutcome) {
  const auto outcome = [](std::uint64_t seed) {
    SimulatedDisk disk;
    auto file = disk.Open("f", {.mode = OpenMode::kCreate}).value();
    EXPECT_TRUE(disk.SyncFolder(".").has_value());
    for (std::uint64_t i = 0; i < 20; ++i) EXPECT_TRUE(file->WriteAt(i * 5, AsBytes("12345")).has_value());
    Random random(seed);
    disk.Crash(random);
    return ReadFile(disk, "f", 1000).value();
  };
  EXPECT_EQ(outcome(1), outcome(1));
  EXPECT_NE(outcome(1), outcome(2));
}

// One attempt to replace "old" by "new": the power fails after some operations, or after all of them.
TEST_F(SimulatedDiskTest, AnAtomicWriteLeavesTheOldFileOrTheNewOneWhole) {
  const std::string old_text(1000, 'o');
  const std::string new_text(2000, 'n');
  int seen_old = 0;
  int seen_new = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    SimulatedDisk disk;
    ASSERT_TRUE(disk.MakeFolders("state").has_value());
    ASSERT_TRUE(WriteFileAtomically(disk, "state/f", old_text).has_value());
    Random random(seed);
    disk.StopAfter(random.Below(8));
    const bool written = WriteFileAtomically(disk, "state/f", new_text).has_value();
    disk.Crash(random);
    const std::string found = ReadFile(disk, "state/f", 10'000).value();
    ASSERT_TRUE(found == old_text || found == new_text) << "seed " << seed << ": " << found.size() << " bytes";
    if (written) {
      ASSERT_EQ(found, new_text) << "seed " << seed;
    }
    ++(found == old_text ? seen_old : seen_new);
    ASSERT_TRUE(WriteFileAtomically(disk, "state/f", "again").has_value()) << "seed " << seed;
    EXPECT_EQ(disk.List("state").value().size(), 1u) << "seed " << seed;
  }
  EXPECT_GT(seen_old, 100);
  EXPECT_GT(seen_new, 100);
}

// The same property fails for a write that forgets a sync, or the disk would be too kind to tell anything.
TEST_F(SimulatedDiskTest, AWriteThatForgetsTheSyncIsCaught) {
  int broken = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimulatedDisk disk;
    ASSERT_TRUE(disk.Open("t", {.mode = OpenMode::kCreate}).value()->WriteAt(0, AsBytes("new")).has_value());
    ASSERT_TRUE(disk.Rename("t", "f").has_value());
    ASSERT_TRUE(disk.SyncFolder(".").has_value());
    Random random(seed);
    disk.Crash(random);
    if (ReadFile(disk, "f", 10).value() != "new") ++broken;
  }
  EXPECT_GT(broken, 20);
}

}  // namespace
}  // namespace fed_learn

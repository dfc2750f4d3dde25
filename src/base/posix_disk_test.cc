#include "base/posix_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/hash.h"

namespace fed_learn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PosixDiskTest : public ::testing::Test {
 protected:
  PosixDiskTest() : folder_(::testing::TempDir() + "posix_disk_test_XXXXXX") {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    disk_ = std::make_unique<PosixDisk>(folder_);
  }
  ~PosixDiskTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<File> Create(std::string_view path, bool secret = false) {
    auto file = disk_->Open(path, {.mode = OpenMode::kCreate, .secret = secret});
    EXPECT_TRUE(file.has_value()) << file.error().message();
    return std::move(file).value();
  }

  unsigned Permissions(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::stat((folder_ + "/" + path).c_str(), &status), 0);
    return status.st_mode & 0777u;
  }

  std::string folder_;
  std::unique_ptr<PosixDisk> disk_;
};

TEST_F(PosixDiskTest, WhatIsWrittenIsRead) {
  for (const std::size_t size : {0, 1, 4096, 100'001}) {
    const std::string text(size, 'x');
    const auto file = Create("f" + std::to_string(size));
    ASSERT_TRUE(file->WriteAt(0, AsBytes(text)).has_value());
    ASSERT_TRUE(file->Sync().has_value());
    EXPECT_EQ(file->Size().value(), size);
    EXPECT_EQ(ReadFile(*disk_, "f" + std::to_string(size), size).value(), text);
  }
}

TEST_F(PosixDiskTest, AWriteBeyondTheEndLeavesZeros) {
  const auto file = Create("f");
  ASSERT_TRUE(file->WriteAt(2, AsBytes("b")).has_value());
  EXPECT_EQ(ReadFile(*disk_, "f", 10).value(), std::string("\0\0b", 3));
  ASSERT_TRUE(file->Truncate(1).has_value());
  EXPECT_EQ(file->Size().value(), 1u);
}

TEST_F(PosixDiskTest, ReadingBeyondTheEndIsDataLoss) {
  const auto file = Create("f");
  ASSERT_TRUE(file->WriteAt(0, AsBytes("abc")).has_value());
  std::string out(4, '\0');
  const Status status = file->ReadAt(0, std::as_writable_bytes(std::span(out)));
  EXPECT_EQ(status.error().kind(), ErrorKind::kDataLoss);
  EXPECT_THAT(status.error().message(), HasSubstr(folder_ + "/f: it ends at byte 3"));
}

TEST_F(PosixDiskTest, AnAbsentFileIsNotFound) {
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite}) {
    const auto file = disk_->Open("none", {.mode = mode});
    EXPECT_EQ(file.error().kind(), ErrorKind::kNotFound);
    EXPECT_THAT(file.error().message(), HasSubstr(folder_ + "/none: no such file"));
  }
  EXPECT_EQ(disk_->Remove("none").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(disk_->Rename("none", "x").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(disk_->List("none").error().kind(), ErrorKind::kNotFound);
  EXPECT_FALSE(disk_->Exists("none").value());
  EXPECT_FALSE(disk_->Exists("none/deeper").value());
}

TEST_F(PosixDiskTest, ExclusiveCreationRefusesAPresentFile) {
  Create("f");
  EXPECT_EQ(disk_->Open("f", {.mode = OpenMode::kCreateExclusive}).error().kind(), ErrorKind::kAlreadyExists);
}

TEST_F(PosixDiskTest, APathWithAZeroByteOrNoneIsRefused) {
  EXPECT_EQ(disk_->Open(std::string_view("a\0b", 3), {}).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(disk_->Open("", {}).error().kind(), ErrorKind::kInvalidArgument);
}

TEST_F(PosixDiskTest, ASecretIsForItsOwnerOnly) {
  Create("secret", true);
  EXPECT_EQ(Permissions("secret"), 0600u);
  ASSERT_TRUE(WriteFileAtomically(*disk_, "key", "k", true).has_value());
  EXPECT_EQ(Permissions("key"), 0600u);
}

TEST_F(PosixDiskTest, ASecretThatOthersCanReadIsNotOpened) {
  Create("key");
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite, OpenMode::kCreate}) {
    const auto file = disk_->Open("key", {.mode = mode, .secret = true});
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().kind(), ErrorKind::kPermissionDenied);
    EXPECT_THAT(file.error().message(), HasSubstr("chmod 600 " + folder_ + "/key"));
  }
}

TEST_F(PosixDiskTest, AnExecutableFileCanBeRun) {
  ASSERT_TRUE(disk_->Open("start.sh", {.mode = OpenMode::kCreate, .executable = true}).has_value());
  EXPECT_EQ(Permissions("start.sh") & 0700u, 0700u);
}

TEST_F(PosixDiskTest, ASecretDoesNotInheritALeftOverTemporaryFile) {
  Create("key.tmp");
  ASSERT_TRUE(WriteFileAtomically(*disk_, "key", "k", true).has_value());
  EXPECT_EQ(Permissions("key"), 0600u);
}

TEST_F(PosixDiskTest, FoldersAreMadeWithTheirParents) {
  EXPECT_TRUE(disk_->MakeFolders("a/b/c").has_value());
  EXPECT_TRUE(disk_->MakeFolders("a/b/c").has_value());
  EXPECT_TRUE(disk_->MakeFolders("a/b/c/").has_value());
  EXPECT_TRUE(disk_->Exists("a/b/c").value());
  Create("a/f");
  EXPECT_EQ(disk_->MakeFolders("a/f").error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(disk_->MakeFolders("a/f/g").error().kind(), ErrorKind::kInvalidArgument);
}

TEST_F(PosixDiskTest, TheRootIsMadeOnRequest) {
  PosixDisk disk(folder_ + "/new/root");
  EXPECT_TRUE(disk.MakeFolders(".").has_value());
  EXPECT_THAT(disk.List(".").value(), ElementsAre());
}

TEST_F(PosixDiskTest, NamesAreListedInOrder) {
  for (const std::string_view name : {"b", "a", ".c"}) Create(name);
  EXPECT_THAT(disk_->List(".").value(), ElementsAre(".c", "a", "b"));
}

TEST_F(PosixDiskTest, ARenameReplaces) {
  ASSERT_TRUE(WriteFileAtomically(*disk_, "a", "old").has_value());
  ASSERT_TRUE(WriteFileAtomically(*disk_, "b", "new").has_value());
  ASSERT_TRUE(disk_->Rename("b", "a").has_value());
  EXPECT_EQ(ReadFile(*disk_, "a", 10).value(), "new");
  EXPECT_TRUE(disk_->SyncFolder(".").has_value());
  EXPECT_TRUE(disk_->Remove("a").has_value());
  EXPECT_THAT(disk_->List(".").value(), ElementsAre());
}

TEST_F(PosixDiskTest, AnAtomicWriteLeavesOnlyItsFile) {
  for (const std::string_view text : {"", "one", "two"}) {
    ASSERT_TRUE(WriteFileAtomically(*disk_, "f", text).has_value());
    EXPECT_EQ(ReadFile(*disk_, "f", 3).value(), text);
  }
  EXPECT_THAT(disk_->List(".").value(), ElementsAre("f"));
}

TEST_F(PosixDiskTest, AFailedAtomicWriteLeavesNothing) {
  ASSERT_TRUE(disk_->MakeFolders("f/in_the_way").has_value());
  EXPECT_FALSE(WriteFileAtomically(*disk_, "f", "text").has_value());
  EXPECT_THAT(disk_->List(".").value(), ElementsAre("f"));
}

TEST_F(PosixDiskTest, AFileLargerThanExpectedIsNotRead) {
  ASSERT_TRUE(WriteFileAtomically(*disk_, "f", "four").has_value());
  EXPECT_EQ(ReadFile(*disk_, "f", 3).error().kind(), ErrorKind::kResourceExhausted);
}

TEST_F(PosixDiskTest, AFolderIsNotReadAsAFile) {
  EXPECT_EQ(ReadFile(*disk_, ".", 100'000).error().kind(), ErrorKind::kInvalidArgument);
}

TEST_F(PosixDiskTest, AFullDiskIsCalledFull) {
  const auto file = disk_->Open("/dev/full", {.mode = OpenMode::kReadWrite});
  ASSERT_TRUE(file.has_value());
  const Status status = (*file)->WriteAt(0, AsBytes("x"));
  EXPECT_EQ(status.error().kind(), ErrorKind::kInternal);
  EXPECT_EQ(status.error().message(), "cannot write /dev/full: the disk is full; free some space, then try again");
}

TEST_F(PosixDiskTest, AFolderIsHeldByOneAtATime) {
  auto held = disk_->Lock(".");
  ASSERT_TRUE(held.has_value()) << held.error().message();
  const auto second = PosixDisk(folder_).Lock(".");
  EXPECT_EQ(second.error().kind(), ErrorKind::kAlreadyExists);
  EXPECT_THAT(second.error().message(), HasSubstr("process " + std::to_string(::getpid())));
  held->reset();
  EXPECT_TRUE(disk_->Lock(".").has_value());
}

}  // namespace
}  // namespace fed_learn

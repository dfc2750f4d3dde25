#include "base/network_file_system.h"

#include <gtest/gtest.h>

namespace fed_learn {
namespace {

TEST(NetworkFileSystemTest, KnownTypesHaveNames) {
  EXPECT_EQ(NetworkFileSystemName(0x6969, ""), "NFS");
  EXPECT_EQ(NetworkFileSystemName(0xFF534D42, ""), "CIFS");
  EXPECT_EQ(NetworkFileSystemName(0xFE534D42, ""), "SMB2");
}

TEST(NetworkFileSystemTest, LocalTypesHaveNone) {
  EXPECT_EQ(NetworkFileSystemName(0xEF53, "ext4"), "");
  EXPECT_EQ(NetworkFileSystemName(0x01021994, "tmpfs"), "");
  EXPECT_EQ(NetworkFileSystemName(0, ""), "");
}

TEST(NetworkFileSystemTest, FuseDependsOnWhatIsBehindIt) {
  EXPECT_EQ(NetworkFileSystemName(0x65735546, "fuse.sshfs"), "sshfs");
  EXPECT_EQ(NetworkFileSystemName(0x65735546, "fuse.fuse-overlayfs"), "");
  EXPECT_EQ(NetworkFileSystemName(0x65735546, "fuseblk"), "");
  EXPECT_EQ(NetworkFileSystemName(0x65735546, ""), "");
}

TEST(NetworkFileSystemTest, ALocalFolderPassesAlsoBeforeItExists) {
  EXPECT_TRUE(RequireLocalFileSystem("/proc").has_value());
  EXPECT_TRUE(RequireLocalFileSystem("/proc/no/such/folder").has_value());
  EXPECT_TRUE(RequireLocalFileSystem("no_such_folder").has_value());
}

}  // namespace
}  // namespace fed_learn
